/**
 * The verb `version`.
 *
 * Owns what is printed: under the name `consul` it is what tools parse, line by line or key by
 * key; under our own name the version is ours.
 */
import { buildDate, consulVersion, productVersion } from '../base/version.ts'
import { formatFlag, wantsJson } from './client.ts'
import type { Command } from './command.ts'
import { exactJson } from './json.ts'

/** The protocol between Consul's agents that our answers name. */
const RPC = { Default: 2, Min: 2, Max: 3 } as const

/** There is no build: the sources run as they stand. */
const NO_BUILD = { Revision: '', Prerelease: '', BuildDate: buildDate } as const

export const version: Command = {
  usage: '[options]',
  flags: [formatFlag],
  examples: ['', '-format=json'],
  async run(call) {
    const { io, program } = call
    const isConsul = program === 'consul'
    if (wantsJson(call)) {
      const ours = { Version: productVersion, ConsulVersion: consulVersion }
      io.print(
        exactJson({ ...(isConsul ? { Version: consulVersion } : ours), ...NO_BUILD, RPC }, 4),
      )
    } else if (isConsul) {
      io.print(`Consul v${consulVersion}\nspoken by gatehouse v${productVersion}`)
      io.print(`Protocol ${RPC.Default} spoken by default, understands ${RPC.Min} to ${RPC.Max}`)
    } else {
      io.print(`gatehouse v${productVersion}\nspeaks the protocol of Consul v${consulVersion}`)
    }
    return 0
  },
}
