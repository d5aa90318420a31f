/** The rules of the agents' CA: times, which roots have had theirs, what is sealed. */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { overdueRoots, renewalMs } from '../../src/cluster/ca.ts'
import { ClusterKey } from '../../src/cluster/cluster-key.ts'
import { RootKeys } from '../../src/cluster/root-keys.ts'
import type { AgentRow, CaRootRow } from '../../src/store/tables/cluster.ts'

const CLUSTER = '11111111-2222-3333-4444-555555555555'
const now = wallMs(1_800_000_000_000)
const key = new ClusterKey(systemRandom.bytes(32))

t.test('renewed at half of the time, a tenth around it', async t => {
  t.equal(renewalMs(0, 1_000, 0.5), 500)
  t.equal(renewalMs(0, 1_000, 0), 450)
  t.equal(Math.round(renewalMs(0, 1_000, 1)), 550)
})

t.test('what is sealed opens in its place, by its key', async t => {
  const sealed = key.seal(Buffer.from('secret'), 'here', systemRandom.bytes(12))
  t.equal(key.open(sealed, 'here')?.toString(), 'secret')
  t.equal(key.open(sealed, 'there'), undefined)
  t.equal(new ClusterKey(systemRandom.bytes(32)).open(sealed, 'here'), undefined)
  t.equal(key.open('', 'here'), undefined)
  const bytes = Buffer.from(sealed, 'base64')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = changed[at]! ^ 1
    if (key.open(changed.toString('base64'), 'here') !== undefined) t.fail(`changed at ${at}`)
  }
})

/** Roots of one after the other, and what a view of them says. */
function rootsSince(timesMs: readonly number[]) {
  let rows: CaRootRow[] = []
  for (const at of timesMs) {
    for (const use of ['agents', 'store'] as const) {
      rows = [...rows, new RootKeys(key, rows).next(use, CLUSTER, wallMs(at), systemRandom)]
    }
  }
  return rows
}

const viewOf = (roots: readonly CaRootRow[], agents: readonly Partial<AgentRow>[]) => ({
  prefix: (table: { name: string }) =>
    (table.name === 'ca-roots'
      ? roots.toSorted((a, b) => a.generation - b.generation)
      : agents
    ).map(row => ({ row })) as never,
})

t.test('a root has had its time once nothing that it signed is valid', async t => {
  const hour = 3_600_000
  const roots = rootsSince([now - 100 * hour, now - 80 * hour])
  const agent = { root: 1, expiresAtMs: now + hour, revokedAtMs: 0 }
  const overdue = (agents: Partial<AgentRow>[], at = now) => overdueRoots(viewOf(roots, agents), at)
  const store = { use: 'store', generation: 1 }
  t.same(overdue([agent]), [store], 'an agent still shows a leaf of it')
  for (const change of [{ root: 2 }, { expiresAtMs: now - 1 }, { revokedAtMs: 1 }]) {
    t.same(overdue([{ ...agent, ...change }]), [{ use: 'agents', generation: 1 }, store])
  }
  const early = wallMs(now - 80 * hour + limits.caOverlapMs - 1)
  t.same(overdue([], early), [], 'not just after the next one came')
  t.same(overdue([], wallMs(early + 1)), [{ use: 'agents', generation: 1 }])
})

t.test('what signs is the newest, with what leads to older ones', async t => {
  const roots = rootsSince([1, 2, 3].map(day => now - day * 86_400_000).reverse())
  const keys = new RootKeys(key, roots)
  t.equal(keys.generationOf('agents'), 3)
  t.equal(keys.trusted('agents').length, 3)
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const hosts = { addresses: [], names: [] }
  const subject = { clusterId: CLUSTER, kind: 'client', nodeId: CLUSTER, hosts } as const
  const leaf = keys.issue('agents', subject, publicKey, { now, random: systemRandom })
  t.equal(leaf.chain.split('BEGIN CERTIFICATE').length - 1, 3, 'the leaf and two crosses')
  t.equal(leaf.expiresAtMs, now + limits.caLeafMs)
  t.equal(new RootKeys(new ClusterKey(systemRandom.bytes(32)), roots).isOpen, false)
})
