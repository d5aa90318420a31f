/**
 * The verb `pki health-check`: what of a mount of pki is not as it should be.
 *
 * Owns its flags, its settings and how verdicts are printed; the exit code is the gravest of them,
 * as in Vault's command line (2 informational, 3 warning, 4 critical, 5 and 6 not readable).
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import type { Call } from '../command.ts'
import { exactJson } from '../json.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { formatOf, isTable, printData } from './output.ts'
import { barePath } from './paths.ts'
import { checks, type Finding, Mount, runCheck, type Settings, statuses } from './pki-checks.ts'
import { isData, valueIn } from './secret.ts'
import { headedTable } from './table.ts'

/** From which verdict on the exit code is not 0. */
const cutOffs: Readonly<Record<string, number>> = {
  default: statuses.indexOf('informational'),
  informational: statuses.indexOf('informational'),
  warning: statuses.indexOf('warning'),
  critical: statuses.indexOf('critical'),
  permission: statuses.indexOf('invalid_version'),
}

export const pkiHealthCheck = secretsVerb({
  usage: '[options] MOUNT',
  flags: [
    { name: 'health-config', kind: 'text', doc: 'a file of JSON with settings of the checks' },
    {
      name: 'return-indicator',
      kind: 'text',
      values: Object.keys(cutOffs),
      doc: 'which verdicts make the exit code: default (any but ok), warning, critical, permission',
    },
    { name: 'default-disabled', kind: 'switch', doc: 'only checks that the file turns on' },
    { name: 'list', kind: 'switch', doc: 'print the checks and their settings instead' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['pki', '-list', '-health-config=checks.json -return-indicator=critical pki'],
  args: [0, 1],
  async run(call, client) {
    if (call.flags.isOn('list')) return listChecks(call)
    const path = barePath(call.args[0] ?? '')
    if (path === '') throw new Failure('Not enough arguments (expected mount path, got nothing)', 1)
    const settings = await settingsOf(call)
    await refuseOther(client, path)
    const mount = new Mount(client, path, call.io.clock.wall())
    const found = new Map<string, Finding[]>()
    for (const check of checks) {
      const own = settings.get(check.name)!
      if (own.enabled !== true) continue
      try {
        found.set(check.name, await runCheck(check, mount, own))
      } catch (error) {
        throw new Failure(`Failed to run health check: ${messageOf(error)}`, 1)
      }
    }
    print(call, found)
    return codeOf(found, call.flags.text('return-indicator') ?? 'default')
  },
})

function listChecks(call: Call): number {
  if (isTable(call)) call.io.print('Default health check config:')
  const all = checks.map(({ name, defaults, isOff }) => [
    name,
    isOff ? { enabled: false, ...defaults } : defaults,
  ])
  call.io.print(exactJson(Object.fromEntries(all)))
  return 0
}

/** The settings of every check, those of a file over their defaults. Throws Failure. */
async function settingsOf({ flags }: Call): Promise<ReadonlyMap<string, Settings>> {
  const file = flags.text('health-config')
  const given = file ? await readSettings(file) : {}
  return new Map(
    checks.map(({ name, defaults, isOff = false }) => {
      const own = valueIn(given, name)
      const base: Settings = { enabled: !isOff && !flags.isOn('default-disabled'), ...defaults }
      const changes = isData(own) ? own : {}
      const unknown = Object.keys(changes).find(key => !Object.hasOwn(base, key))
      if (unknown !== undefined) {
        throw new Failure(`unknown configuration option for ${name}: ${unknown}`, 1)
      }
      return [name, { ...base, ...changes }] as const
    }),
  )
}

async function readSettings(file: string): Promise<Settings> {
  try {
    const parsed: unknown = JSON.parse((await readFile(file)).toString('utf8'))
    if (isData(parsed)) return parsed
  } catch (error) {
    throw new Failure(`Failed to read configuration file ${file}: ${messageOf(error)}`, 1)
  }
  throw new Failure(`Failed to read configuration file ${file}: it holds no object`, 1)
}

/** Throws Failure for a mount that is known to be of something else. */
async function refuseOther(client: SecretsClient, path: string): Promise<void> {
  const found = await client.read(`sys/internal/ui/mounts/${path}`, {}, true).catch(() => undefined)
  const type = valueIn(found?.data, 'type')
  if (type !== undefined && type !== 'pki') {
    throw new Failure(`refusing to run pki health-check on mount of type ${String(type)}`, 1)
  }
}

function print(call: Call, found: ReadonlyMap<string, readonly Finding[]>): void {
  if (formatOf(call) !== 'table') {
    const all = [...found].map(([name, findings]) => [
      name,
      findings.map(each => ({ status_code: statuses.indexOf(each.status), ...each })),
    ])
    printData(call, Object.fromEntries(all))
    return
  }
  for (const [name, findings] of found) {
    const rows = findings.map(({ status, endpoint, message }) => [status, endpoint, message])
    call.io.print(`${name}\n${'-'.repeat(name.length)}`)
    call.io.print(`${headedTable(['status', 'endpoint', 'message'], rows)}\n\n`)
  }
}

function codeOf(found: ReadonlyMap<string, readonly Finding[]>, indicator: string): number {
  const grades = [...found.values()].flat().map(({ status }) => statuses.indexOf(status))
  const gravest = Math.max(0, ...grades)
  return gravest >= (cutOffs[indicator] ?? 0) ? gravest : 0
}
