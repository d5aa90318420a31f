/**
 * The verbs `reload`, `leave`, `force-leave` and `join`: what an agent is told to do.
 *
 * Owns their texts, which are those of Consul's command line; a force-leave that worked is silent.
 */
import { messageOf } from '../base/errors.ts'
import { asking, clientFlags } from './client.ts'
import { countMistake, fail } from './command.ts'

export const reload = asking('Error reloading', {
  usage: '[options]',
  flags: clientFlags,
  examples: [''],
  async run({ args, io }, client) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    await client.send('PUT', '/v1/agent/reload')
    io.print('Configuration reload triggered')
    return 0
  },
})

export const leave = asking('Error leaving', {
  usage: '[options]',
  flags: [
    { name: 'force', kind: 'switch', doc: 'also where the other servers need it to decide' },
    ...clientFlags,
  ],
  examples: ['', '-force'],
  async run({ flags, args, io }, client) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    const force = flags.isOn('force') ? '1' : undefined
    await client.send('PUT', '/v1/agent/leave', { force })
    io.print('Graceful leave complete')
    return 0
  },
})

export const serverDrain = asking('Error draining', {
  usage: '[options]',
  flags: clientFlags,
  examples: [''],
  async run({ args, io }, client) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    await client.send('PUT', '/v1/agent/drain')
    io.print('The server takes no new work, finishes what it has, and ends.')
    return 0
  },
})

export const forceLeave = asking('Error force leaving', {
  usage: '[options] NODE',
  flags: [
    { name: 'prune', kind: 'switch', doc: 'take it off the list of members at once' },
    { name: 'wan', kind: 'switch', doc: 'among the servers of all datacenters' },
    ...clientFlags,
  ],
  examples: ['n7', '-prune n7'],
  async run({ flags, args, io }, client) {
    const [node, ...more] = args
    if (node === undefined || node === '' || more.length > 0) {
      return fail(io, 'A single node name must be specified to force leave.')
    }
    await client.send('PUT', `/v1/agent/force-leave/${encodeURIComponent(node)}`, {
      prune: flags.isOn('prune') ? '1' : undefined,
      wan: flags.isOn('wan') ? '1' : undefined,
    })
    return 0
  },
})

export const join = asking('Error joining', {
  usage: '[options] ADDRESS...',
  flags: [
    { name: 'wan', kind: 'switch', doc: 'join the servers of other datacenters' },
    ...clientFlags,
  ],
  examples: ['10.0.0.2', '10.0.0.2 10.0.0.3:8301'],
  async run({ flags, args, io }, client) {
    if (args.length === 0) return fail(io, 'At least one address to join must be specified.')
    let joined = 0
    for (const address of args) {
      try {
        const wan = flags.isOn('wan') ? '1' : undefined
        await client.send('PUT', `/v1/agent/join/${encodeURIComponent(address)}`, { wan })
        joined++
      } catch (error) {
        io.printError(`Error joining address '${address}': ${messageOf(error)}`)
      }
    }
    if (joined === 0) return fail(io, 'Failed to join any nodes.')
    io.print(`Successfully joined cluster by contacting ${joined} nodes.`)
    return joined === args.length ? 0 : 1
  },
})
