// Checks a Cluster of CloudNativePG, JSON on standard input, against its published schema. The package is one of
// tests/docs, which deploy/test installs for every check.
import { readFileSync } from 'node:fs';

const models = new URL('../../tests/docs/node_modules/@kubernetes-models/cloudnative-pg/', import.meta.url);
const { Cluster } = await import(new URL('postgresql.cnpg.io/v1/Cluster.js', models));
new Cluster(JSON.parse(readFileSync(0))).validate();
