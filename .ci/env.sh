# Sourced by the scripts that run tests: what they promise to the tests, so that a test which finds it missing fails
# instead of skipping itself.
export SLOTGATE_NEED_NODE=1 SLOTGATE_NEED_REDIS=1
if [ -d ../shared/data ]; then
	export SLOTGATE_NEED_SHARED=1
else
	say "no ../shared/data beside the checkout: the tests that read real data there skip themselves"
fi
export CGO_ENABLED=1
