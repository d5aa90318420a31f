/** Servers that call each other over real sockets: words and renewals arrive as they were sent. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { ServerWord } from '../../src/cluster/clocks.run.ts'
import type { RenewalItem } from '../../src/cluster/renewals.run.ts'
import { openAgentChannel } from '../../src/rpc/channels.ts'
import { type PeerPorts, peerCalls, peerService } from '../../src/rpc/peer.ts'
import {
  channelWorld,
  clientPair,
  materialOf,
  SERVER_ID,
  serverPair,
  startService,
} from './trial.ts'

const OTHER_ID = 'aaaaaaaa-0000-4000-8000-000000000002'

const wordOf = (nodeId: string): ServerWord => ({
  ...{ nodeId, wallMs: 1_700_000_000_123, revision: 2 ** 40 + 1, viewAgeMs: 250 },
  trouble: 'it cannot write',
})

t.test('a word and its answer, and what came of renewals', async t => {
  const heard: ServerWord[] = []
  const asked: (readonly RenewalItem[])[] = []
  const ports: PeerPorts = {
    heard(word) {
      heard.push(word)
      return wordOf(SERVER_ID)
    },
    async renewed(items) {
      asked.push(items)
      return ['renewed', 'gone', 'elsewhere']
    },
  }
  const { ca, address } = await startService(t, peerService(ports))
  const material = materialOf(ca, serverPair(ca, OTHER_ID))
  const channel = openAgentChannel(channelWorld(() => material))
  t.teardown(() => channel.close())
  const calls = peerCalls(channel)
  const to = { nodeId: SERVER_ID, address }
  t.strictSame(await calls.beat(to, wordOf('somebody else')), wordOf(SERVER_ID))
  t.strictSame(heard, [wordOf(OTHER_ID)], 'who calls is whom its certificate names')
  const items = ['a', 'b\u0000\u00ff', 'c'].map(key => ({ kind: 'session', key }))
  t.strictSame(await calls.renew(to, items), ['renewed', 'gone', 'elsewhere'])
  t.strictSame(asked, [items])
  const many = Array.from({ length: limits.renewalBatch + 1 }, () => items[0]!)
  await t.rejects(calls.renew(to, many), { code: 'INVALID_ARGUMENT' })
  const stranger = openAgentChannel(channelWorld(() => materialOf(ca, clientPair(ca))))
  t.teardown(() => stranger.close())
  await t.rejects(peerCalls(stranger).renew(to, items), { code: 'PERMISSION_DENIED' })
})
