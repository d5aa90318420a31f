/**
 * The verb `version`.
 *
 * Owns what is printed: under the name `consul` the first line is the one that tools parse.
 */
import { consulVersion, productVersion } from '../base/version.ts'
import { formatFlag } from './client.ts'
import type { Command } from './command.ts'

export const version: Command = {
  usage: '[options]',
  flags: [formatFlag],
  async run({ flags, io, program }) {
    if (flags.text('format') === 'json') {
      // Programs that start `consul` in their tests choose by Version what they configure.
      const fields =
        program === 'consul'
          ? { Version: consulVersion, Revision: '', Prerelease: '', Gatehouse: productVersion }
          : { Version: productVersion, ConsulVersion: consulVersion }
      io.print(JSON.stringify(fields, null, 2))
    } else if (program === 'consul') {
      io.print(`Consul v${consulVersion}\nspoken by gatehouse v${productVersion}`)
    } else {
      io.print(`gatehouse v${productVersion}\nspeaks the protocol of Consul v${consulVersion}`)
    }
    return 0
  },
}
