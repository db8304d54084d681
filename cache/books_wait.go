package cache

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// errFewReplicas: the intent stands, but too few have it for an EHR to be called.
var errFewReplicas = errors.New("cache: too few replicas have the intent")

// runOn runs a script and then waits for replicas, on one connection: WAIT
// counts what its own connection wrote. Where replicas is 0 nobody is waited
// for.
func (s *Store) runOn(ctx context.Context, sc script, replicas int, keys []string, args ...any) (*redis.Cmd, error) {
	if replicas == 0 {
		return s.run(ctx, sc, keys, args...), nil
	}
	node, err := s.nodeOf(ctx, keys[0])
	if err != nil {
		return nil, err
	}
	cmd, waited := s.runAndWait(ctx, node, sc.EvalSha, replicas, keys, args)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd, waited = s.runAndWait(ctx, node, sc.Eval, replicas, keys, args)
	}
	if cmd.Err() != nil {
		return cmd, nil
	}
	have, err := waited.Int()
	if err != nil {
		return nil, err
	}
	if have < replicas {
		return nil, errFewReplicas
	}
	return cmd, nil
}

type evaluation func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (s *Store) runAndWait(
	ctx context.Context, node redis.Cmdable, eval evaluation, replicas int, keys []string, args []any,
) (script, waited *redis.Cmd) {
	pipe := node.Pipeline()
	script = eval(ctx, pipe, keys, args...)
	waited = pipe.Do(ctx, "WAIT", replicas, s.options.WaitTimeout.Milliseconds())
	// Each command keeps its own error.
	_, _ = pipe.Exec(ctx)
	return script, waited
}

// nodeOf is the node that has the key: in a cluster, WAIT has no key that would
// lead it there.
func (s *Store) nodeOf(ctx context.Context, key string) (redis.Cmdable, error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.client, nil
	}
	return cluster.MasterForKey(ctx, key)
}
