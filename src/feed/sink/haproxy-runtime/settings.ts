/**
 * The settings of the sink `haproxy-runtime`.
 *
 * Owns their declaration, and what is wrong with them together.
 */
import type { KindSettings } from '../declare.ts'
import { parsePlace, shown } from '../place.ts'
import type { SettingFields } from '../schema.ts'

export const runtimeFields = {
  socket: {
    type: 'text',
    help: 'path of HAProxy’s stats socket, of level admin; this or address',
    isLocal: true,
  },
  address: { type: 'text', help: 'host:port of such a socket over TCP; this or socket' },
  backends: {
    type: 'strings',
    help: 'names of backends by service; the service’s own name unless given',
    byDefault: {},
  },
  slots: {
    type: 'text',
    help: 'how names of servers begin that are this sink’s; all of a backend where it is empty',
    byDefault: '',
  },
  failing: {
    type: 'text',
    help: 'what an instance becomes that may not be used: maint, drain, or down by its health',
    oneOf: ['maint', 'drain', 'down'],
    byDefault: 'maint',
  },
  add_servers: {
    type: 'switch',
    help: 'add servers where no slot is free, and remove those again (HAProxy 2.5 or newer)',
    byDefault: true,
  },
  server_options: {
    type: 'texts',
    help: 'words for servers that are added, such as check',
    byDefault: [],
    isLocal: true,
  },
  drain_timeout: {
    type: 'duration',
    help: 'what connections to an instance that went may take before its slot is freed',
    byDefault: 30_000,
  },
} as const satisfies SettingFields

export type RuntimeSettings = KindSettings<typeof runtimeFields>

/** A name of a backend, or how one of a server begins, as HAProxy takes them. */
export const isProxyName = (name: string): boolean => /^[A-Za-z0-9_.:-]{1,128}$/.test(name)

/** What is wrong with settings that are each right by themselves. */
export function runtimeProblem(settings: RuntimeSettings): string | undefined {
  const { socket, address, backends, slots, server_options: options } = settings
  if ((socket === undefined) === (address === undefined)) {
    return 'socket: either this or address must be given'
  }
  if (socket?.startsWith('/') === false) return 'socket: must be an absolute path'
  if (address !== undefined && parsePlace(address) === undefined) {
    return 'address: must be host:port'
  }
  const wrong = Object.values(backends).find(name => !isProxyName(name))
  if (wrong !== undefined) return `backends: ${shown(wrong)} is no name of a backend`
  if (new Set(Object.values(backends)).size < Object.keys(backends).length) {
    return 'backends: each name stands once'
  }
  if (slots !== '' && !isProxyName(slots)) return 'slots: is no part of a name of a server'
  const odd = options.find(word => !/^[A-Za-z0-9_.:@/+=,%()~-]+$/.test(word))
  return odd === undefined ? undefined : `server_options: ${shown(odd)} is no word of HAProxy’s`
}
