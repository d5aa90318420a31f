/**
 * Who holds a port of this machine: for the error that a busy port ends in.
 *
 * Owns the reading of /proc (Linux; see proc(5)). Never shows more of another process's command
 * line than its program and script, since arguments may hold secrets. Answers undefined where
 * nothing can be found, and never throws.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'

export type Protocol = 'tcp' | 'udp'

/** A process that listens on a port. Without `pid` it belongs to another user. */
export interface PortHolder {
  readonly userId: number
  readonly pid?: number
  /** The program and, for an interpreter, its script. */
  readonly command?: string
}

/** The process that listens on a port, whatever the address; undefined when none is seen. */
export async function findPortHolder(
  protocol: Protocol,
  port: number,
  procFolder = '/proc',
): Promise<PortHolder | undefined> {
  const tables = await Promise.all(
    [protocol, `${protocol}6`].map(name => readText(`${procFolder}/net/${name}`)),
  )
  const socket = findSocket(tables.join('\n'), protocol, port)
  if (socket === undefined) return undefined
  const pid = await findOwner(procFolder, socket.inode)
  if (pid === undefined) return { userId: socket.userId }
  return { userId: socket.userId, pid, command: await commandOf(procFolder, pid) }
}

/** One line for people: who holds the port, as far as this user may know. */
export function describePortHolder(holder: PortHolder | undefined): string {
  if (holder === undefined) return 'held by a process that /proc does not show'
  if (holder.pid === undefined) {
    return `held by a process of user ${holder.userId} (its entry in /proc is not readable for us)`
  }
  return `held by process ${holder.pid} (${holder.command})`
}

const LISTENING: Record<Protocol, string> = { tcp: '0A', udp: '07' }

/** The columns of /proc/net: 1 local address, 3 state, 7 user, 9 inode. */
function findSocket(
  table: string,
  protocol: Protocol,
  port: number,
): { inode: string; userId: number } | undefined {
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/)
    const localPort = Number.parseInt(columns[1]?.split(':')[1] ?? '', 16)
    if (localPort !== port || columns[3] !== LISTENING[protocol]) continue
    return { inode: columns[9] ?? '', userId: Number(columns[7]) }
  }
  return undefined
}

async function findOwner(procFolder: string, inode: string): Promise<number | undefined> {
  for (const name of await listFolder(procFolder)) {
    if (!/^\d+$/.test(name)) continue
    for (const descriptor of await listFolder(`${procFolder}/${name}/fd`)) {
      const target = await readlink(`${procFolder}/${name}/fd/${descriptor}`).catch(() => '')
      if (target === `socket:[${inode}]`) return Number(name)
    }
  }
  return undefined
}

async function commandOf(procFolder: string, pid: number): Promise<string> {
  const [program = '', ...parameters] = (await readText(`${procFolder}/${pid}/cmdline`)).split('\0')
  const script = parameters.find(parameter => !parameter.startsWith('-'))
  const isInterpreter = /(^|\/)(node|python|ruby|perl|java|sh|bash)[\d.]*$/.test(program)
  const shown = isInterpreter && script ? `${program} ${script}` : program
  return shown.replace(/[^\x20-\x7e]/g, '?') || 'unknown'
}

const listFolder = (path: string): Promise<string[]> => readdir(path).catch(() => [])
const readText = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
