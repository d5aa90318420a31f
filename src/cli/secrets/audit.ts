/**
 * The verbs `audit enable`, `audit disable` and `audit list`: the devices that write records.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line.
 */
import { sourceOf } from './ask.ts'
import { secretsVerb } from './command.ts'
import { readTexts } from './data.ts'
import { saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { complain, isTable, printData } from './output.ts'
import { barePath, mountPath } from './paths.ts'
import { type Data, isData, valueIn } from './secret.ts'
import { headedTable } from './table.ts'
import { goText } from './values.ts'

export const auditEnable = secretsVerb({
  usage: '[options] TYPE [K=V...]',
  flags: [
    { name: 'path', kind: 'text', doc: 'the name of the device (its type)' },
    { name: 'description', kind: 'text', doc: 'what it is for' },
    { name: 'local', kind: 'switch', doc: 'keep it in this cluster' },
    ...httpFlags,
  ],
  examples: ['file file_path=/var/log/audit.log', '-path=second socket address=127.0.0.1:9090'],
  args: [1, undefined],
  async run(call, client) {
    const { args, flags, io } = call
    const type = (args[0] ?? '').trim()
    const path = mountPath(flags.text('path') || type)
    const body = {
      type,
      description: flags.text('description') ?? '',
      options: await readTexts(args.slice(1), sourceOf(call)),
      local: flags.isOn('local'),
    }
    const work = client.write(`sys/audit/${path.slice(0, -1)}`, body)
    await saying('Error enabling audit device', work)
    io.print(`Success! Enabled the ${type} audit device at: ${path}`)
    return 0
  },
})

export const auditDisable = secretsVerb({
  usage: '[options] PATH',
  flags: httpFlags,
  examples: ['file/'],
  args: [1, 1],
  async run({ args, io }, client) {
    const path = mountPath(barePath(args[0] ?? ''))
    const work = client.remove(`sys/audit/${path.slice(0, -1)}`)
    await saying('Error disabling audit device', work)
    io.print(`Success! Disabled audit device (if it was enabled) at: ${path}`)
    return 0
  },
})

export const auditList = secretsVerb({
  usage: '[options]',
  flags: [
    { name: 'detailed', kind: 'switch', doc: 'print how each is configured' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['', '-detailed'],
  args: [0, 0],
  async run(call, client) {
    const secret = await saying('Error listing audits', client.read('sys/audit'))
    const devices = Object.entries(secret?.data ?? {})
      .filter((entry): entry is [string, Data] => isData(entry[1]))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    if (!isTable(call)) return printData(call, Object.fromEntries(devices))
    if (devices.length === 0) return complain(call, 'No audit devices are enabled.')
    const rows = devices.map(([path, device]) => {
      const text = (key: string): string => goText(valueIn(device, key) ?? '')
      return [path, text('type'), text('description'), placeOf(device), optionsText(device)]
    })
    const heads = ['Path', 'Type', 'Description', 'Replication', 'Options']
    const width = call.flags.isOn('detailed') ? heads.length : heads.indexOf('Replication')
    const cut = rows.map(row => row.slice(0, width))
    call.io.print(headedTable(heads.slice(0, width), cut))
    return 0
  },
})

const placeOf = (device: Data): string =>
  valueIn(device, 'local') === true ? 'local' : 'replicated'

function optionsText(device: Data): string {
  const options = valueIn(device, 'options')
  if (!isData(options)) return ''
  return Object.keys(options)
    .sort()
    .map(key => `${key}=${goText(options[key])}`)
    .join(' ')
}
