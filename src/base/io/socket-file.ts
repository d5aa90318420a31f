/**
 * Sockets in files: opened with their owner and mode, and put in the place of a stale one.
 *
 * Owns what may be at the path before: nothing, or a socket that nobody answers on. Anything else
 * is somebody's, and never removed. The file cannot be opened by others at any moment, as it is
 * made with no rights and gets them afterwards.
 */
import { once } from 'node:events'
import { chmod, chown, lstat, readFile, stat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { OperatingCode, OperatingError } from '../errors.ts'

export interface SocketFile {
  readonly path: string
  /** Names or numbers; what the process has unless given. */
  readonly user?: string | undefined
  readonly group?: string | undefined
  /** Rights of the file; those that the umask leaves unless given. */
  readonly modeBits?: number | undefined
}

/** Listens on the file. Throws the system's error, or an OperatingError that says what is there. */
export async function openSocketFile(server: Server, file: SocketFile): Promise<void> {
  const { path, user, group, modeBits } = file
  if (Buffer.byteLength(path) > PATH_SIZE_BYTES) {
    throw new OperatingError(OperatingCode.limit, `${path}: longer than ${PATH_SIZE_BYTES} bytes`)
  }
  // Without its folder the system would say that it is not allowed.
  await stat(dirname(path))
  await removeStale(path)
  const userId = await idOf(user, '/etc/passwd')
  const groupId = await idOf(group, '/etc/group')
  // The file is made within the call, so nothing else is made with this mask.
  const mask = process.umask(NOBODY)
  server.listen({ path, exclusive: true })
  process.umask(mask)
  await once(server, 'listening')
  try {
    if (userId !== undefined || groupId !== undefined) {
      await chown(path, userId ?? KEPT_ID, groupId ?? KEPT_ID)
    }
    await chmod(path, modeBits ?? DEFAULT_MODE & ~mask)
  } catch (error) {
    server.close()
    throw error
  }
}

/** What an address of a socket can hold, without the zero at its end. */
const PATH_SIZE_BYTES = 107
const NOBODY = 0o777
const DEFAULT_MODE = 0o777
const KEPT_ID = -1

/** Removes a socket that nobody answers on. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) {
    throw new OperatingError(OperatingCode.locked, `${path} is there, and is no socket`)
  }
  if (await isAnswering(path)) {
    const text = `${path}: another process listens on it`
    throw new OperatingError(OperatingCode.locked, text)
  }
  await unlink(path)
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Only a refusal is proof that nobody is there.
    socket.once('error', (error: { code?: string }) => resolve(error.code !== 'ECONNREFUSED'))
  })
}

/** The number of a user or group: as given, or by its name in the system's file. */
async function idOf(name: string | undefined, file: string): Promise<number | undefined> {
  if (name === undefined) return undefined
  if (/^\d+$/.test(name)) return Number(name)
  const lines = (await readFile(file, 'utf8')).split('\n')
  const id = lines.find(line => line.startsWith(`${name}:`))?.split(':')[2]
  if (id !== undefined) return Number(id)
  throw new OperatingError(OperatingCode.locked, `unix_sockets: ${file} does not know ${name}`)
}
