/**
 * The settings of the sink `nginx`.
 *
 * Owns their declaration, and what is wrong with them together.
 */
import { fileFields, fileProblem } from '../checked-file.run.ts'
import type { KindSettings } from '../declare.ts'
import { shown } from '../place.ts'
import type { SettingFields } from '../schema.ts'

export const nginxFields = {
  ...fileFields,
  check: { ...fileFields.check, byDefault: ['nginx', '-t', '-q'] },
  reload: { ...fileFields.reload, byDefault: ['nginx', '-s', 'reload'] },
  upstreams: {
    type: 'strings',
    help: 'names of upstreams by service; the service’s own name unless given',
    byDefault: {},
  },
  zone: {
    type: 'text',
    help: 'size of the shared memory of each upstream, such as 64k; none where it is empty',
    byDefault: '64k',
  },
  balance: {
    type: 'text',
    help: 'how instances are chosen',
    oneOf: ['round_robin', 'least_conn', 'ip_hash', 'random'],
    byDefault: 'round_robin',
  },
  keepalive: {
    type: 'count',
    help: 'idle connections that each worker keeps to an upstream; 0 for none',
    byDefault: 0,
    max: 100_000,
  },
  max_fails: {
    type: 'count',
    help: 'failed tries after which nginx itself leaves an instance alone for fail_timeout',
    byDefault: 1,
    max: 1_000,
  },
  fail_timeout: {
    type: 'duration',
    help: 'see max_fails',
    byDefault: 10_000,
    minMs: 1_000,
  },
  failing: {
    type: 'text',
    help: 'what becomes of instances that may not be used: written as down, or left out',
    oneOf: ['down', 'omit'],
    byDefault: 'down',
  },
  backup_tag: {
    type: 'text',
    help: 'instances with this tag are used only when there are no others; none where it is empty',
    byDefault: '',
  },
  names: {
    type: 'switch',
    help: 'take host names as addresses too; nginx looks them up when it loads the file',
    byDefault: false,
  },
} as const satisfies SettingFields

export type NginxSettings = KindSettings<typeof nginxFields>

/** A name that nginx takes without quotes and that leads nowhere else in `proxy_pass`. */
export const isUpstream = (name: string): boolean =>
  /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)

/** What is wrong with settings that are each right by themselves. */
export function nginxProblem(settings: NginxSettings): string | undefined {
  const { zone, upstreams, balance, backup_tag: backupTag } = settings
  if (!/^(\d+[kKmM]?)?$/.test(zone)) return 'zone: must be a size such as 64k'
  const wrong = Object.values(upstreams).find(name => !isUpstream(name))
  if (wrong !== undefined) return `upstreams: ${shown(wrong)} is no name of an upstream`
  if (new Set(Object.values(upstreams)).size < Object.keys(upstreams).length) {
    return 'upstreams: each name stands once'
  }
  if ((balance === 'ip_hash' || balance === 'random') && backupTag !== '') {
    return `backup_tag: must be empty, as nginx knows no backups with ${balance}`
  }
  return fileProblem(settings)
}
