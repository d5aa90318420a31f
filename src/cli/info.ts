/**
 * The verb `info`: the statistics of an agent, section by section.
 *
 * Owns the text, which is that of Consul's command line.
 */
import { asking, clientFlags, formatFlag, wantsJson } from './client.ts'
import { exactJson } from './json.ts'

interface Self {
  readonly Stats: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export const info = asking('Error querying agent', {
  usage: '[options]',
  flags: [formatFlag, ...clientFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const { Stats } = await client.read<Self>('/v1/agent/self')
    if (wantsJson(call)) {
      call.io.print(exactJson(Stats))
      return 0
    }
    for (const section of Object.keys(Stats).sort()) {
      call.io.print(`${section}:`)
      const values = Stats[section] ?? {}
      for (const key of Object.keys(values).sort()) call.io.print(`\t${key} = ${values[key]}`)
    }
    return 0
  },
})
