/**
 * The verb `event`: fires a user event.
 *
 * Owns its texts; whether its filters are patterns is for the agent to judge.
 */
import { asking, formatFlag, nodeNameOf, queryFlags, wantsJson } from './client.ts'
import { fail } from './command.ts'
import { exactJson, parseExact } from './json.ts'

export const event = asking('Error querying Consul agent', {
  usage: '[options] -name=NAME [PAYLOAD]',
  flags: [
    { name: 'name', kind: 'text', doc: 'name of the event' },
    { name: 'node', kind: 'text', doc: 'pattern of the nodes that it is for' },
    { name: 'service', kind: 'text', doc: 'pattern of the services whose nodes it is for' },
    { name: 'tag', kind: 'text', doc: 'pattern of a tag of -service' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['-name=deploy 1609030', '-name=restart -service=web -tag=v1'],
  async run(call, client) {
    const { flags, args, io } = call
    const name = flags.text('name')
    const [node, service, tag] = ['node', 'service', 'tag'].map(each => flags.text(each))
    if (!name) return fail(io, 'Event name must be specified')
    if (tag && !service) return fail(io, 'Cannot provide tag filter without service filter.')
    if (args.length > 1) return fail(io, 'Too many command line arguments.')
    await nodeNameOf(client)
    try {
      const path = `/v1/event/fire/${encodeURIComponent(name)}`
      const payload = Buffer.from(args[0] ?? '', 'utf8')
      const fired = await client.send('PUT', path, { node, service, tag }, payload)
      const answer = parseExact<{ ID: string }>(fired)
      io.print(wantsJson(call) ? exactJson(answer) : `Event ID: ${answer.ID}`)
      return 0
    } catch (error) {
      return fail(io, `Error firing event: ${(error as Error).message}`)
    }
  },
})
