/**
 * What HAProxy says of its servers (management guide: `show servers state`, `show stat`).
 *
 * Owns the reading of both. Pure.
 */
import type { ServerMode } from './want.ts'

/** A server as it is. */
export interface ServerRow {
  readonly backend: string
  readonly name: string
  readonly address: string
  readonly port: number
  readonly mode: ServerMode
  readonly weight: number
  /** Requests and connections that it serves or has waiting. */
  readonly sessions: number
}

/** Bits of the administrative state. */
const FORCED_MAINT = 0x01
const FORCED_DRAIN = 0x08
/** It has no address, as its name is not resolved. */
const UNRESOLVED = 0x60
/** The operational state of a server that its health has taken out. */
const STOPPED = '0'

/** The servers of all backends; undefined where the answer is none. */
export function readRows(state: string, stat: string): readonly ServerRow[] | undefined {
  const lines = state.split('\n')
  const header = lines.find(line => line.startsWith('# '))?.slice(2)
  if (header === undefined) return undefined
  const names = header.split(' ')
  const sessions = readSessions(stat)
  return lines.flatMap(line => {
    const cells = line.split(' ')
    if (cells.length < names.length || line.startsWith('#')) return []
    const cell = (name: string): string => cells[names.indexOf(name)] ?? ''
    const [backend, name] = [cell('be_name'), cell('srv_name')]
    return {
      backend,
      name,
      address: cell('srv_addr').toLowerCase(),
      port: Number(cell('srv_port')),
      mode: modeOf(Number(cell('srv_admin_state')), cell('srv_op_state')),
      weight: Number(cell('srv_uweight')),
      sessions: sessions.get(`${backend}/${name}`) ?? 0,
    }
  })
}

function modeOf(admin: number, operational: string): ServerMode {
  if ((admin & (FORCED_MAINT | UNRESOLVED)) !== 0) return 'maint'
  if ((admin & FORCED_DRAIN) !== 0) return 'drain'
  return operational === STOPPED ? 'down' : 'ready'
}

function readSessions(stat: string): Map<string, number> {
  const [header = '', ...lines] = stat.split('\n')
  const names = header.replace(/^# /, '').split(',')
  const found = new Map<string, number>()
  for (const line of lines) {
    const cells = line.split(',')
    const cell = (name: string): string => cells[names.indexOf(name)] ?? ''
    const count = Number(cell('scur') || 0) + Number(cell('qcur') || 0)
    if (cells.length > 2) found.set(`${cell('pxname')}/${cell('svname')}`, count)
  }
  return found
}

/** The names of all backends, as `show backend` has them. */
export const readBackends = (text: string): readonly string[] =>
  text.split('\n').filter(line => line !== '' && !line.startsWith('#'))

/** The id of the process, as `show info` has it; 0 where it does not say. */
export const readProcess = (text: string): number => Number(/^Pid: (\d+)$/m.exec(text)?.[1] ?? 0)
