// A FHIR client that nobody of this project wrote (npm fhir-kit-client), used as a booking site would book by the gateway.
//
//   node book.mjs BASE JSON
//
// JSON holds: headers {..}, patient (id), find {parameters of $find}, racers (0: nobody races).
// The journey: find the first offer, hold it, book it, read it, list the patient's, cancel it, and find its slot again.
// Before it, racers clients book the second offer at once, each as an end user of its own.
// It prints one JSON report and exits 0, also when the server refuses:
//
//   raced   {status: n} of the racers' answers, and codes of the refusals
//   steps   {find, hold, book, read, list, cancel, again}: each {status, ..} or {refused: status, codes}
import { Client } from 'fhir-kit-client';

const [baseUrl, json] = process.argv.slice(2);
if (!baseUrl || !json) {
  console.error('usage: node book.mjs BASE JSON');
  process.exit(2);
}
const options = { find: {}, headers: {}, racers: 0, ...JSON.parse(json) };

function clientOf(session) {
  return new Client({ baseUrl, customHeaders: { ...options.headers, 'X-Slotgate-Session': session } });
}

/** The error of a step becomes its result: the Go test that reads the report decides what may fail. */
async function attempt(step) {
  try {
    return await step();
  } catch (err) {
    if (!err.response) {
      throw err; // not an answer of the server: no report can be made
    }
    const issues = err.response.data?.issue ?? [];
    const codes = issues.flatMap((issue) => (issue.details?.coding ?? []).map((coding) => coding.code));
    return { refused: err.response.status, codes };
  }
}

function appointments(bundle) {
  return (bundle.entry ?? []).map((entry) => entry.resource).filter((resource) => resource.resourceType === 'Appointment');
}

async function find(client) {
  const bundle = await client.operation({ name: '$find', resourceType: 'Appointment', method: 'GET', input: options.find });
  return appointments(bundle);
}

function write(client, name, id) {
  const input = { resourceType: 'Parameters', parameter: [{ name: 'patient-id', valueUri: options.patient }] };
  return client.operation({ name, resourceType: 'Appointment', id, method: 'POST', input });
}

function shown(appointment) {
  return {
    id: appointment?.id,
    status: appointment?.status,
    start: appointment?.start,
    slot: appointment?.slot?.[0]?.reference,
    patients: (appointment?.participant ?? []).map((p) => p.actor?.reference ?? '').filter((ref) => ref.includes('Patient/')),
  };
}

async function race(id) {
  const raced = { statuses: {}, codes: [] };
  const answers = await Promise.all(
    Array.from({ length: options.racers }, (_, i) =>
      attempt(async () => appointments(await write(clientOf(`racer-number-${1000 + i}`), '$book', id))[0])
    )
  );
  for (const answer of answers) {
    const key = answer.refused ?? answer.status;
    raced.statuses[key] = (raced.statuses[key] ?? 0) + 1;
    raced.codes.push(...(answer.codes ?? []));
  }
  raced.codes = [...new Set(raced.codes)].sort();
  return raced;
}

const client = clientOf('the-end-user-of-this-site');
const offers = await find(client);
const [offer, contested] = offers;
const patch = [{ op: 'replace', path: '/status', value: 'cancelled' }];
const of = (id) => (list) => shown(list.find((appointment) => appointment.id === id));
const report = { raced: options.racers ? await race(contested.id) : {}, steps: {} };
const steps = report.steps;
steps.find = shown(offer);
steps.hold = await attempt(async () => shown(appointments(await write(client, '$hold', offer.id))[0]));
steps.book = await attempt(async () => shown(appointments(await write(client, '$book', offer.id))[0]));
steps.read = await attempt(async () => shown(await client.read({ resourceType: 'Appointment', id: offer.id })));
steps.list = await attempt(async () => {
  const bundle = await client.search({ resourceType: 'Appointment', searchParams: { patient: options.patient } });
  return of(offer.id)(appointments(bundle));
});
steps.cancel = await attempt(async () => shown(await client.patch({ resourceType: 'Appointment', id: offer.id, jsonPatch: patch })));
steps.again = {};
for (let tries = 0; tries < 200 && !steps.again.id; tries++) {
  const found = (await find(client)).find((appointment) => appointment.slot?.[0]?.reference === offer.slot[0].reference);
  steps.again = found ? shown(found) : {};
  if (!found) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
console.log(JSON.stringify(report));
