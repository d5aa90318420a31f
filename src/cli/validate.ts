/**
 * The verb `validate`: whether an agent would start with these files.
 *
 * Owns nothing but the texts; the judgement is that of the agent's own loading.
 */
import { loadConfig } from '../agent/config-load.ts'
import { type Command, fail } from './command.ts'

export const validate: Command = {
  usage: '[options] FILE_OR_DIRECTORY...',
  flags: [
    { name: 'quiet', kind: 'switch', doc: 'print nothing when all is well' },
    { name: 'config-format', kind: 'text', doc: 'hcl or json, whatever the names of the files' },
  ],
  examples: ['gatehouse.hcl', '-quiet conf.d/'],
  async run({ flags, args, io }) {
    if (args.length === 0) return fail(io, 'Must specify at least one config file or directory')
    const format = flags.text('config-format')
    const loaded = await loadConfig([
      ...args.map(value => ({ name: 'config-file', value })),
      ...(format === undefined ? [] : [{ name: 'config-format', value: format }]),
    ])
    if ('problems' in loaded) {
      return fail(io, `Config validation failed: ${loaded.problems.join('\n')}`)
    }
    for (const warning of loaded.warnings) io.printError(`Warning: ${warning}`)
    if (!flags.isOn('quiet')) io.print('Configuration is valid!')
    return 0
  },
}
