// A FHIR client that nobody of this project wrote (npm fhir-kit-client), used as a booking site would use the gateway.
//
//   node client.mjs BASE [JSON]
//
// JSON may hold: find {parameters of $find}, search {type: {parameters}}, headers {..}, maxPages (default 1000).
// It prints one JSON report and exits 0, also when the server refuses: what went wrong stands where the answer would be,
// as {"status": .., "resourceType": .., "codes": [..]}. The report:
//
//   metadata   {fhirVersion, formats, types, operations}
//   findGet    {total, entries, ids, starts, relations, outcomes}   GET  Appointment/$find
//   findPost   the same                                             POST Appointment/$find with Parameters
//   pages      {pages, entries, ids, unique, totals}                findGet again, nextPage until there is none
//   search     {type: {total, entries, ids, relations, outcomes}}   search, by GET
//   read       {type: id}                                           the first hit of each search, read by its id
//   refused    the answer to a $find with a date that is none
import { Client } from 'fhir-kit-client';

const [baseUrl, json] = process.argv.slice(2);
if (!baseUrl) {
  console.error('usage: node client.mjs BASE [JSON]');
  process.exit(2);
}
const options = { find: {}, search: {}, headers: {}, maxPages: 1000, ...JSON.parse(json ?? '{}') };
const client = new Client({ baseUrl, customHeaders: options.headers });

/** The error of a step becomes its result: the Go test that reads the report decides what may fail. */
async function attempt(step) {
  try {
    return await step();
  } catch (err) {
    const body = err.response?.data;
    if (!err.response) {
      throw err; // not an answer of the server: no report can be made
    }
    const codes = (body?.issue ?? []).flatMap((issue) => (issue.details?.coding ?? []).map((coding) => coding.code));
    return { status: err.response.status, resourceType: body?.resourceType, codes };
  }
}

function matches(bundle) {
  return (bundle.entry ?? []).filter((entry) => entry.search?.mode !== 'outcome' && entry.search?.mode !== 'include');
}

function summary(bundle) {
  const found = matches(bundle);
  return {
    total: bundle.total,
    entries: found.length,
    ids: found.map((entry) => entry.resource.id),
    starts: found.map((entry) => entry.resource.start).filter(Boolean),
    relations: (bundle.link ?? []).map((link) => link.relation),
    outcomes: (bundle.entry ?? []).filter((entry) => entry.resource.resourceType === 'OperationOutcome').length,
  };
}

async function metadata() {
  const statement = await client.capabilityStatement();
  const rest = statement.rest?.[0] ?? {};
  const ofTypes = (rest.resource ?? []).flatMap((resource) => resource.operation ?? []);
  return {
    fhirVersion: statement.fhirVersion,
    formats: statement.format,
    types: (rest.resource ?? []).map((resource) => resource.type),
    operations: [...(rest.operation ?? []), ...ofTypes].map((operation) => operation.name),
  };
}

function findGet(input = options.find) {
  return client.operation({ name: '$find', resourceType: 'Appointment', method: 'GET', input });
}

function findPost() {
  const parameter = Object.entries(options.find).map(([name, value]) => ({ name, valueString: String(value) }));
  return client.operation({
    name: '$find',
    resourceType: 'Appointment',
    method: 'POST',
    input: { resourceType: 'Parameters', parameter },
  });
}

async function walk() {
  const ids = [];
  const totals = new Set();
  let pages = 0;
  for (let bundle = await findGet(); bundle; bundle = await client.nextPage({ bundle })) {
    pages++;
    if (pages > options.maxPages) {
      throw new Error(`more than ${options.maxPages} pages: the next links do not end`);
    }
    ids.push(...matches(bundle).map((entry) => entry.resource.id));
    totals.add(bundle.total);
  }
  return { pages, entries: ids.length, ids, unique: new Set(ids).size, totals: [...totals] };
}

const report = {
  metadata: await attempt(metadata),
  findGet: await attempt(async () => summary(await findGet())),
  findPost: await attempt(async () => summary(await findPost())),
  pages: await attempt(walk),
  search: {},
  read: {},
  refused: await attempt(async () => summary(await findGet({ start: 'not-a-date' }))),
};
for (const [resourceType, searchParams] of Object.entries(options.search)) {
  const hits = await attempt(async () => summary(await client.search({ resourceType, searchParams })));
  report.search[resourceType] = hits;
  if (hits.ids?.length) {
    report.read[resourceType] = await attempt(async () => (await client.read({ resourceType, id: hits.ids[0] })).id);
  }
}
console.log(JSON.stringify(report));
