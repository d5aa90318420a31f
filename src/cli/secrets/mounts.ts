/**
 * The verbs `secrets enable`, `disable`, `list`, `move` and `tune`, and the same of `auth`.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line. The two groups
 * differ in words and paths alone.
 */
import { sleep } from '../../base/clock.ts'
import type { Call, Flag } from '../command.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { durationText, formatFlag, httpFlags, itemsOf, pairsOf, secondsOf } from './flags.ts'
import { isTable, printData, printSecret } from './output.ts'
import { barePath, mountPath } from './paths.ts'
import { type Data, isData, isWrapped, type Secret, valueIn } from './secret.ts'
import { headedTable } from './table.ts'
import { goText } from './values.ts'

/** What the two groups differ in. */
interface Group {
  /** Below `sys/`. */
  readonly path: 'mounts' | 'auth'
  /** How one is named in texts. */
  readonly one: string
  readonly many: string
  readonly type: string
  /** The error of a mount of that type that is refused. */
  enableFault(type: string): string
  enabled(type: string): string
  /** What `move` gives to the server. */
  moved(path: string): string
}

const engines: Group = {
  path: 'mounts',
  one: 'secrets engine',
  many: 'secrets engines',
  type: 'kv-v2',
  enableFault: () => 'Error enabling',
  enabled: type => `the ${type} secrets engine`,
  moved: path => path,
}
const methods: Group = {
  path: 'auth',
  one: 'auth method',
  many: 'enabled authentications',
  type: 'userpass',
  enableFault: type => `Error enabling ${type} auth`,
  enabled: type => `${type} auth method`,
  moved: path => `auth/${path}`,
}

const tuneFlags: readonly Flag[] = [
  { name: 'description', kind: 'text', doc: 'what it is for' },
  {
    name: 'default-lease-ttl',
    kind: 'text',
    doc: 'how long leases are good unless told otherwise',
  },
  { name: 'max-lease-ttl', kind: 'text', doc: 'how long leases can be good at most' },
  {
    name: 'audit-non-hmac-request-keys',
    kind: 'list',
    doc: 'a key of requests that the audit records as it is; may be repeated',
  },
  {
    name: 'audit-non-hmac-response-keys',
    kind: 'list',
    doc: 'a key of answers that the audit records as it is; may be repeated',
  },
  { name: 'listing-visibility', kind: 'text', doc: 'unauth shows it to everybody, hidden not' },
  {
    name: 'passthrough-request-headers',
    kind: 'list',
    doc: 'a header of requests that it sees; may be repeated',
  },
  {
    name: 'allowed-response-headers',
    kind: 'list',
    doc: 'a header that it may answer with; may be repeated',
  },
  { name: 'options', kind: 'list', doc: 'KEY=VALUE of its own; may be repeated' },
  { name: 'version', kind: 'number', doc: 'the version of the engine' },
  { name: 'plugin-version', kind: 'text', doc: 'the version of its plugin' },
  { name: 'token-type', kind: 'text', doc: 'the type of tokens that it gives (of auth methods)' },
]
const lockoutFlags: readonly Flag[] = [
  {
    name: 'user-lockout-threshold',
    kind: 'number',
    doc: 'how many wrong passwords lock a user out',
  },
  { name: 'user-lockout-duration', kind: 'text', doc: 'for how long' },
  {
    name: 'user-lockout-counter-reset-duration',
    kind: 'text',
    doc: 'when wrong passwords are forgotten',
  },
  { name: 'user-lockout-disable', kind: 'switch', doc: 'lock nobody out' },
]
const enableFlags: readonly Flag[] = [
  { name: 'path', kind: 'text', doc: 'where it is mounted (its type)' },
  { name: 'plugin-name', kind: 'text', doc: 'the plugin, with the type `plugin`' },
  { name: 'force-no-cache', kind: 'switch', doc: 'keep nothing in memory' },
  { name: 'local', kind: 'switch', doc: 'keep it in this cluster' },
  { name: 'seal-wrap', kind: 'switch', doc: 'wrap what is critical by the seal' },
  { name: 'external-entropy-access', kind: 'switch', doc: 'let it use outer entropy' },
]

/** Flags whose names are keys of the wire, but for their dashes. */
const listKeys = [
  'audit-non-hmac-request-keys',
  'audit-non-hmac-response-keys',
  'passthrough-request-headers',
  'allowed-response-headers',
]
const textKeys = ['listing-visibility', 'plugin-version', 'token-type']

/** The part of a mount's configuration that its flags give. */
function configOf(call: Call): Data {
  const { flags } = call
  const isGiven = (name: string): boolean => flags.given.some(flag => flag.name === name)
  const entries = [
    ...listKeys.filter(isGiven).map(name => [name, itemsOf(call, name)] as const),
    ...textKeys.filter(isGiven).map(name => [name, flags.text(name) ?? ''] as const),
  ]
  return Object.fromEntries(entries.map(([name, value]) => [name.replaceAll('-', '_'), value]))
}

function optionsOf(call: Call): Data | undefined {
  const version = call.flags.number('version') ?? 0
  const options = {
    ...pairsOf(call, 'options'),
    ...(version > 0 ? { version: String(version) } : {}),
  }
  return Object.keys(options).length === 0 ? undefined : options
}

function enableVerb(group: Group) {
  return secretsVerb({
    usage: '[options] TYPE',
    flags: [...enableFlags, ...tuneFlags, ...httpFlags],
    examples: [group.type, `-path=team -description=ours -max-lease-ttl=24h ${group.type}`],
    args: [1, 1],
    async run(call, client) {
      const { flags, io } = call
      const argument = (call.args[0] ?? '').trim()
      const type = argument === 'plugin' ? (flags.text('plugin-name') ?? '') : argument
      const path = mountPath(flags.text('path') || type)
      const options = optionsOf(call)
      const body = {
        type,
        description: flags.text('description') ?? '',
        local: flags.isOn('local'),
        seal_wrap: flags.isOn('seal-wrap'),
        external_entropy_access: flags.isOn('external-entropy-access'),
        config: {
          default_lease_ttl: durationText(call, 'default-lease-ttl') ?? '0s',
          max_lease_ttl: durationText(call, 'max-lease-ttl') ?? '0s',
          force_no_cache: flags.isOn('force-no-cache'),
          ...configOf(call),
        },
        ...(options === undefined ? {} : { options }),
      }
      const work = client.write(`sys/${group.path}/${path.slice(0, -1)}`, body, 'POST')
      await saying(group.enableFault(type), work)
      io.print(`Success! Enabled ${group.enabled(type)} at: ${path}`)
      return 0
    },
  })
}

function disableVerb(group: Group) {
  return secretsVerb({
    usage: '[options] PATH   (with all that it holds)',
    flags: httpFlags,
    examples: ['team/'],
    args: [1, 1],
    async run({ args, io }, client) {
      const path = mountPath(barePath(args[0] ?? ''))
      const work = client.remove(`sys/${group.path}/${path.slice(0, -1)}`)
      await saying(`Error disabling ${group.one} at ${path}`, work)
      io.print(`Success! Disabled the ${group.one} (if it existed) at: ${path}`)
      return 0
    },
  })
}

function listVerb(group: Group) {
  return secretsVerb({
    usage: '[options]',
    flags: [
      { name: 'detailed', kind: 'switch', doc: 'print how each is configured' },
      formatFlag,
      ...httpFlags,
    ],
    examples: ['', '-detailed', '-format=json'],
    args: [0, 0],
    async run(call, client) {
      const work = client.read(`sys/${group.path}`)
      const secret = await saying(`Error listing ${group.many}`, work)
      if (secret !== undefined && isWrapped(secret)) return printSecret(call, secret)
      const mounts = mountsOf(secret)
      if (!isTable(call)) return printData(call, Object.fromEntries(mounts))
      const isLong = call.flags.isOn('detailed')
      call.io.print(isLong ? longTable(group, mounts) : shortTable(group, mounts))
      return 0
    },
  })
}

/** By path, in order. */
function mountsOf(secret: Secret | undefined): readonly (readonly [string, Data])[] {
  return Object.entries(secret?.data ?? {})
    .filter((entry): entry is [string, Data] => isData(entry[1]))
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

const textIn = (data: Data | undefined, key: string): string => {
  const value = valueIn(data, key)
  return value === undefined || value === null ? '' : goText(value)
}

function shortTable({ path }: Group, mounts: readonly (readonly [string, Data])[]): string {
  const keys = ['type', 'accessor', 'description', ...(path === 'auth' ? ['plugin_version'] : [])]
  const heads = ['Path', 'Type', 'Accessor', 'Description', 'Version'].slice(0, keys.length + 1)
  return headedTable(
    heads,
    mounts.map(([name, mount]) => [name, ...keys.map(key => textIn(mount, key))]),
  )
}

function longTable({ path }: Group, mounts: readonly (readonly [string, Data])[]): string {
  const isAuth = path === 'auth'
  const heads = [
    'Path',
    'Plugin',
    'Accessor',
    'Default TTL',
    'Max TTL',
    isAuth ? 'Token Type' : 'Force No Cache',
    'Replication',
    'Seal Wrap',
    'External Entropy Access',
    'Options',
    'Description',
    'UUID',
    'Version',
    'Running Version',
    'Running SHA256',
    'Deprecation Status',
  ]
  return headedTable(
    heads,
    mounts.map(([name, mount]) => {
      const found = valueIn(mount, 'config')
      const config = isData(found) ? found : undefined
      const type = textIn(mount, 'type')
      const isTimeless = type === 'system' || type === 'cubbyhole'
      const ttl = (key: string): string => {
        const text = textIn(config, key)
        return isTimeless ? '' : text === '' || text === '0' ? 'system' : text
      }
      return [
        name,
        type,
        textIn(mount, 'accessor'),
        ttl('default_lease_ttl'),
        ttl('max_lease_ttl'),
        textIn(config, isAuth ? 'token_type' : 'force_no_cache'),
        valueIn(mount, 'local') === true ? 'local' : 'replicated',
        textIn(mount, 'seal_wrap'),
        textIn(mount, 'external_entropy_access'),
        goText(valueIn(mount, 'options') ?? {}),
        ...['description', 'uuid', 'plugin_version', 'running_plugin_version'].map(key =>
          textIn(mount, key),
        ),
        textIn(mount, 'running_sha256'),
        textIn(mount, 'deprecation_status'),
      ]
    }),
  )
}

const MOVE_POLL_MS = 500

function moveVerb(group: Group) {
  return secretsVerb({
    usage: '[options] FROM TO   (leases under the old path are revoked)',
    flags: httpFlags,
    examples: ['team/ crew/'],
    args: [2, 2],
    async run({ args, io }, client) {
      const [from, to] = [mountPath(args[0] ?? ''), mountPath(args[1] ?? '')]
      const body = { from: group.moved(from), to: group.moved(to) }
      const fault = `Error moving ${group.one} ${from} to ${to}`
      const started = await saying(fault, client.write('sys/remount', body, 'POST'))
      const id = goText(valueIn(started?.data, 'migration_id'))
      const which = `moving ${group.one} ${from} to ${to}, with migration ID ${id}`
      io.print(`Started ${which}`)
      for (;;) {
        const work = client.read(`sys/remount/status/${id}`)
        const asked = await saying(`Error checking migration status of ${from} to ${to}`, work)
        const info = valueIn(asked?.data, 'migration_info')
        const status = isData(info) ? valueIn(info, 'status') : undefined
        if (status === 'success') break
        if (status !== 'in-progress') throw new Failure(`Failure! Error encountered ${which}`, 2)
        await sleep(io.clock, MOVE_POLL_MS)
      }
      io.print(`Success! Finished ${which}`)
      return 0
    },
  })
}

function tuneVerb(group: Group) {
  return secretsVerb({
    usage: '[options] PATH   (what is not given stays as it is)',
    flags: [...tuneFlags, ...(group.path === 'auth' ? lockoutFlags : []), ...httpFlags],
    examples: ['-default-lease-ttl=1h team/', '-description=ours team/'],
    args: [1, 1],
    async run(call, client) {
      const { flags, io } = call
      const path = mountPath(barePath(call.args[0] ?? ''))
      const options = optionsOf(call)
      const description = flags.text('description')
      const lockout = lockoutOf(call)
      const body = {
        ...ttlOf(call, 'default-lease-ttl'),
        ...ttlOf(call, 'max-lease-ttl'),
        ...(description === undefined ? {} : { description }),
        ...configOf(call),
        ...(options === undefined ? {} : { options }),
        ...(Object.keys(lockout).length === 0 ? {} : { user_lockout_config: lockout }),
      }
      const work = client.write(`sys/${group.path}/${path}tune`, body, 'POST')
      await saying(`Error tuning ${group.one} ${path}`, work)
      io.print(`Success! Tuned the ${group.one} at: ${path}`)
      return 0
    },
  })
}

/** Zero leaves a TTL as it is, and below zero is the system's. */
function ttlOf(call: Call, name: string): Data {
  const seconds = secondsOf(call, name) ?? 0
  if (seconds === 0) return {}
  return { [name.replaceAll('-', '_')]: seconds < 0 ? 'system' : `${seconds}s` }
}

function lockoutOf(call: Call): Data {
  const { flags } = call
  const threshold = flags.number('user-lockout-threshold')
  const duration = durationText(call, 'user-lockout-duration')
  const reset = durationText(call, 'user-lockout-counter-reset-duration')
  const isSet = flags.given.some(({ name }) => name === 'user-lockout-disable')
  return {
    ...(threshold === undefined ? {} : { lockout_threshold: String(threshold) }),
    ...(duration === undefined ? {} : { lockout_duration: duration }),
    ...(reset === undefined ? {} : { lockout_counter_reset_duration: reset }),
    ...(isSet ? { lockout_disable: flags.isOn('user-lockout-disable') } : {}),
  }
}

export const secretsEnable = enableVerb(engines)
export const secretsDisable = disableVerb(engines)
export const secretsList = listVerb(engines)
export const secretsMove = moveVerb(engines)
export const secretsTune = tuneVerb(engines)
export const authEnable = enableVerb(methods)
export const authDisable = disableVerb(methods)
export const authList = listVerb(methods)
export const authMove = moveVerb(methods)
export const authTune = tuneVerb(methods)
