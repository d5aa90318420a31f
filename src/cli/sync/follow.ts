/**
 * What `gatehouse sync` follows by: event streams of the agent that its flags name, or of another
 * one where that does not answer.
 *
 * Owns which address is asked when. Who asks and how both prove it is the client's.
 */
import type { FollowPort } from '../../feed/follow.ts'
import { followStream } from '../../feed/follow-stream.run.ts'
import { type Client, clientFlags, clientOf } from '../client.ts'
import type { Call, Flag } from '../command.ts'

export const followFlags: readonly Flag[] = [
  {
    name: 'other-addr',
    kind: 'list',
    doc: 'address of another agent, where that of -http-addr does not answer; may be repeated',
  },
  ...clientFlags,
]

/**
 * Follows with a token: a secret, '' for that of the flags and the environment. Throws ClientError
 * where a flag is wrong.
 */
export async function followOf(call: Call): Promise<(token: string) => FollowPort> {
  const { clock, random } = call.io
  const addresses = ['', ...call.flags.list('other-addr')]
  const clients = new Map<string, Promise<Client>>()
  const clientAt = (address: string, token: string): Promise<Client> => {
    const key = keyOf(address, token)
    const known = clients.get(key)
    if (known !== undefined) return known
    const made = clientOf(call, { address, token })
    clients.set(key, made)
    return made
  }
  // What is wrong with the flags is told now, not at the first try.
  for (const address of addresses) await clientAt(address, '')
  return token =>
    followStream({
      ...{ clock, random },
      async open(path, query, tries, signal) {
        const address = addresses[tries % addresses.length]!
        // After a failure its files are read again: a token or a certificate may be another one.
        if (tries > 0) clients.delete(keyOf(address, token))
        const client = await clientAt(address, token)
        return client.open('GET', path, query, { signal })
      },
    })
}

const keyOf = (address: string, token: string): string => JSON.stringify([address, token])
