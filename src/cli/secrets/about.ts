/**
 * The verbs `version`, `version-history`, `path-help` and `monitor`: what a program or a server
 * says of itself.
 *
 * Owns the line of the version, which tools cut the number out of.
 */
import { buildDate, openbaoVersion, productVersion, vaultVersion } from '../../base/version.ts'
import { endSignals } from '../child.ts'
import { exactJson } from '../json.ts'
import { localVerb, secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { formatOf, isTable, printData, printListing } from './output.ts'
import { barePath } from './paths.ts'
import { isData, isWrapped, keysOf, valueIn } from './secret.ts'
import { headedTable } from './table.ts'
import { goText } from './values.ts'

export const version = localVerb({
  usage: '',
  flags: [],
  examples: [''],
  args: [0, undefined],
  async run({ io, program }) {
    const theirs = program === 'bao' ? `OpenBao v${openbaoVersion}` : `Vault v${vaultVersion}`
    io.print(`${theirs} (gatehouse v${productVersion}), built ${buildDate}`)
    return 0
  },
})

export const versionHistory = secretsVerb({
  usage: '[options]',
  flags: [formatFlag, ...httpFlags],
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    const secret = await saying('Error reading version history', client.list('sys/version-history'))
    const info = valueIn(secret?.data, 'key_info')
    const isPlain = secret !== undefined && isTable(call) && isData(info) && !isWrapped(secret)
    if (!isPlain) return printListing(call, secret, 'sys/version-history')
    const rows = (keysOf(secret) ?? []).map(goText).map(key => {
      const about = valueIn(info, key)
      const text = (name: string): string =>
        isData(about) ? goText(valueIn(about, name) ?? '') : ''
      return [key, text('timestamp_installed'), text('build_date')]
    })
    call.io.print(headedTable(['Version', 'Installation Time', 'Build Date'], rows))
    return 0
  },
})

export const pathHelp = secretsVerb({
  usage: '[options] PATH   (-format=json prints it as OpenAPI)',
  flags: [formatFlag, ...httpFlags],
  examples: ['sys/mounts', '-format=json secret/data/web'],
  args: [1, 1],
  async run(call, client) {
    const path = barePath(call.args[0] ?? '')
    const ask = { method: 'GET', path, query: { help: '1' } } as const
    const help = await saying('Error retrieving help', client.json(ask))
    if (formatOf(call) === 'json') call.io.print(exactJson(valueIn(help, 'openapi') ?? null))
    else if (isTable(call)) call.io.print(goText(valueIn(help, 'help') ?? ''))
    else return printData(call, help)
    return 0
  },
})

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error']

export const monitor = secretsVerb({
  usage: '[options]   (until it is stopped)',
  flags: [
    { name: 'log-level', kind: 'text', doc: `from this level on: ${LEVELS.join(', ')} (info)` },
    { name: 'log-format', kind: 'text', doc: 'standard (default) or json' },
    ...httpFlags,
  ],
  examples: ['', '-log-level=debug -log-format=json'],
  args: [0, 0],
  async run({ flags, io }, client) {
    const level = (flags.text('log-level') ?? 'info').toLowerCase()
    const format = (flags.text('log-format') ?? 'standard').toLowerCase()
    if (!LEVELS.includes(level)) {
      throw new Failure(`${level} is an unknown log level. Valid log levels are: ${LEVELS}`, 1)
    }
    if (!['standard', 'json'].includes(format)) {
      throw new Failure(`${format} is an unknown log format: standard or json`, 1)
    }
    const stop = new AbortController()
    for (const name of endSignals) io.onSignal(name, () => stop.abort())
    const query = { log_level: level, log_format: format }
    try {
      const ask = { method: 'GET', path: 'sys/monitor', query, isEndless: true } as const
      const work = client.open({ ...ask, signal: stop.signal })
      const answer = await saying('Error starting monitor', work, 1)
      for await (const bytes of answer.body) io.write(bytes)
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
    return 0
  },
})
