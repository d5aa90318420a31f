/**
 * The registry that the examples of the name forms are about (src/dns/form).
 */
import { type Op, put } from '../../src/store/store.ts'
import { CheckStatus } from '../../src/store/tables/check.ts'
import { type QueryRow, type QueryService, queries } from '../../src/store/tables/query.ts'
import { queryRow } from '../registry/rules.ts'
import { type Entry, openRegistry, type TestRegistry } from './support.ts'

const entries: readonly Entry[] = [
  { node: 'one', address: '10.0.0.1', meta: { zone: 'a', 'rfc1035-note': 'bare' } },
  { node: 'two', address: '10.0.0.2' },
  { node: 'Six', address: 'fd00::6' },
  { node: 'named', address: 'outside.example' },
  { node: 'with.dots', address: '10.0.0.9' },
  { node: 'one', service: { name: 'consul', port: 8300 } },
  { node: 'one', service: { name: 'web', id: 'web-1', port: 8080, tags: ['primary'] } },
  {
    node: 'two',
    service: {
      name: 'web',
      id: 'web-2',
      port: 8081,
      address: '10.1.0.2',
      tags: ['V1.2'],
      weights: { passing: 5, warning: 2 },
    },
    status: CheckStatus.warning,
  },
  {
    node: 'two',
    service: { name: 'web', id: 'web-3', port: 8082, address: '10.1.0.3', tags: ['primary'] },
    status: CheckStatus.critical,
  },
  { node: 'two', service: { name: 'down', port: 1 }, status: CheckStatus.critical },
  { node: 'six', service: { name: 'six', port: 6666 } },
  { node: 'named', service: { name: 'external', port: 443 } },
  { node: 'one', service: { name: 'names', id: 'names-udp', port: 53, tags: ['udp'] } },
  { node: 'one', service: { name: 'names', id: 'names-tcp', port: 5353 } },
  {
    node: 'one',
    service: {
      name: 'many',
      ports: [
        { name: 'http', port: 8000, isDefault: true },
        { name: 'Admin', port: 9000, isDefault: false },
      ],
    },
  },
]

const query = (
  name: string,
  service: Partial<QueryService> & Pick<QueryService, 'service'>,
  more: Partial<QueryRow> = {},
): Op => {
  const row = queryRow(name, { name, dnsTtl: '5s', ...more })
  return put(queries, name, { ...row, service: { ...row.service, ...service } })
}

const template = { type: 'name_prefix_match', regexp: '^geo\\.(.*)$', removeEmptyTags: false }

const saved: readonly Op[] = [
  query('Saved', { service: 'web' }),
  query('passing', { service: 'web', onlyPassing: true }),
  query('ignoring', { service: 'web', ignoreCheckIds: ['check:web-3'] }),
  query('down', { service: 'down' }),
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what templates are made of
  query('geo.', { service: '${match(1)}' }, { template }),
  query('near', { service: 'web', near: 'two' }),
]

/** Opens the example registry. */
export async function openExample(): Promise<TestRegistry> {
  const registry = openRegistry()
  for (const entry of entries) await registry.put(entry)
  await registry.store.write(() => ({ txn: saved, answer: undefined }))
  return registry
}
