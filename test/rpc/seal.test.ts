/** The root key between servers: over real sockets, to servers alone. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { openAgentChannel } from '../../src/rpc/channels.ts'
import { askForRootKey, handOver, sealService } from '../../src/rpc/seal.ts'
import {
  channelWorld,
  clientPair,
  materialOf,
  SERVER_ID,
  serverPair,
  startService,
} from './trial.ts'

const KNOWN_ID = 'aaaaaaaa-0000-4000-8000-000000000002'
const STRANGE_ID = 'aaaaaaaa-0000-4000-8000-000000000003'

t.test('a server that is unsealed hands the root key to a server of the list', async t => {
  const rootKey = Buffer.alloc(32, 7)
  const handed: string[] = []
  let isSealed = false
  const { ca, address } = await startService(
    t,
    sealService({
      isServer: nodeId => nodeId === KNOWN_ID,
      handOver: halts => (isSealed || halts > 2 ? new Refusal(503, 'Vault is sealed') : rootKey),
      handed: nodeId => handed.push(nodeId),
    }),
  )
  const channelOf = (pair: Parameters<typeof materialOf>[1]) => {
    const channel = openAgentChannel(channelWorld(() => materialOf(ca, pair)))
    t.teardown(() => channel.close())
    return channel
  }
  const known = channelOf(serverPair(ca, KNOWN_ID))
  const to = { nodeId: SERVER_ID, address }
  const nobody = { nodeId: STRANGE_ID, address: '127.0.0.1:1' }
  t.strictSame(await askForRootKey(known, [nobody, to], 2), rootKey)
  t.strictSame(handed, [KNOWN_ID])
  t.equal(await askForRootKey(known, [to], 3), undefined, 'it has not heard of the last halt')
  t.equal(await askForRootKey(known, [], 0), undefined)
  const stranger = channelOf(serverPair(ca, STRANGE_ID))
  await t.rejects(stranger.call(to, handOver, { halts: 0 }, 5_000), { code: 'PERMISSION_DENIED' })
  const client = channelOf(clientPair(ca))
  await t.rejects(client.call(to, handOver, { halts: 0 }, 5_000), { code: 'PERMISSION_DENIED' })
  isSealed = true
  t.equal(await askForRootKey(known, [to], 0), undefined)
  t.strictSame(handed, [KNOWN_ID])
})
