/**
 * The device `file`: one record a line, appended, in a file of this user's alone.
 *
 * Owns the file and the rights on it. It must lie in a folder that the configuration allows, be a
 * plain file and no link. Rotation is the operator's: a file that was renamed or deleted is noticed
 * before the next write, and a new one begun. A line that was cut off by a crash or a full disk is
 * taken away before the next one, and what the file has is not written twice.
 */
import { constants, realpathSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { type Device, type DevicePorts, defineDevice, type Shipment, textIn } from '../device.ts'
import { parseLine } from '../line.ts'

const NOT_OURS = 'rotation is not ours: rename the file, and a new one is begun'

export const fileDevice = defineDevice({
  type: 'file',
  doc: 'a file, one record a line',
  fields: {
    path: { kind: 'text', doc: 'the file, absolute', isRequired: true },
    rotate_bytes: { kind: 'text', doc: '', refused: NOT_OURS },
    rotate_duration: { kind: 'text', doc: '', refused: NOT_OURS },
    rotate_max_files: { kind: 'text', doc: '', refused: NOT_OURS },
  },
  problemOf: values => {
    return isAbsolute(textIn(values, 'path')) ? undefined : 'path: must be absolute'
  },
  open: (values, ports) => new FileDevice(textIn(values, 'path'), ports),
})

/** The end of a file in which its last line is looked for. */
const TAIL_SIZE_BYTES = 131_072
const LINE_END = 0x0a

interface Opened {
  readonly file: FileHandle
  readonly inode: bigint
  readonly device: bigint
}

class FileDevice implements Device {
  readonly #path: string
  readonly #folders: readonly string[]
  #opened: Opened | undefined

  constructor(path: string, { folders }: DevicePorts) {
    // As it is looked at is as it is opened: the system would follow a link before it goes up.
    this.#path = resolve(path)
    this.#folders = folders
  }

  async write({ lines }: Shipment, signal: AbortSignal): Promise<void> {
    const { file } = await this.#current()
    signal.throwIfAborted()
    const whole = Buffer.concat(lines)
    let written = 0
    try {
      while (written < whole.length) written += (await file.write(whole, written)).bytesWritten
    } catch (error) {
      // Half a line would spoil the next one.
      if (written > 0) await takeBack(file, written).catch(() => {})
      throw error
    }
  }

  async settle(): Promise<void> {
    await this.#opened?.file.datasync()
  }

  async newest(): Promise<number | undefined> {
    const { file } = await this.#current()
    return await lastOf(file)
  }

  async reopen(): Promise<void> {
    await this.close()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.file.close()
  }

  /** The file that is at the path now. */
  async #current(): Promise<Opened> {
    const opened = this.#opened
    if (opened !== undefined) {
      const there = await stat(this.#path, { bigint: true }).catch(() => undefined)
      if (there?.ino === opened.inode && there.dev === opened.device) return opened
      await this.close()
    }
    this.#opened = await this.#open()
    return this.#opened
  }

  async #open(): Promise<Opened> {
    this.#checkFolder()
    const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
    // Without blocking, or a pipe that nobody reads would hold a thread of the disk's pool.
    const flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK
    const file = await open(this.#path, flags, 0o600)
    try {
      const found = await file.stat({ bigint: true })
      if (!found.isFile()) throw refused(`${this.#path} is no plain file`)
      if ((found.mode & 0o077n) !== 0n) await file.chmod(0o600)
      await cutTornLine(file, Number(found.size))
      return { file, inode: found.ino, device: found.dev }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Where the folder really is, whatever links lead to it. */
  #checkFolder(): void {
    const folder = realpathSync(dirname(this.#path))
    const isAllowed = this.#folders.some(allowed => isWithin(folder, allowed))
    if (isAllowed) return
    throw refused(`${folder} is none of the folders that audit.allowed_folders names`)
  }
}

const refused = (text: string): OperatingError => new OperatingError(OperatingCode.disk, text)

function isWithin(folder: string, allowed: string): boolean {
  let real: string
  try {
    real = realpathSync(allowed)
  } catch {
    return false
  }
  const way = relative(real, folder)
  return way === '' || !(way.split(sep)[0] === '..' || isAbsolute(way))
}

async function takeBack(file: FileHandle, sizeBytes: number): Promise<void> {
  const { size } = await file.stat()
  await file.truncate(size - sizeBytes)
}

/** Takes away the begin of a line of ours without an end; everything before it is whole. */
async function cutTornLine(file: FileHandle, sizeBytes: number): Promise<void> {
  const tail = await tailOf(file, sizeBytes)
  const torn = tail.subarray(tail.lastIndexOf(LINE_END) + 1)
  if (torn.length === 0) return
  const begin = torn.subarray(0, OURS.length)
  if (!OURS.subarray(0, begin.length).equals(begin)) {
    throw refused('it holds something else than audit records')
  }
  await file.truncate(sizeBytes - torn.length)
}

const OURS = Buffer.from('{"v":1,"seq":')

async function tailOf(file: FileHandle, sizeBytes: number): Promise<Buffer> {
  const length = Math.min(sizeBytes, TAIL_SIZE_BYTES)
  const tail = Buffer.alloc(length)
  const { bytesRead } = await file.read(tail, 0, length, sizeBytes - length)
  return tail.subarray(0, bytesRead)
}

async function lastOf(file: FileHandle): Promise<number | undefined> {
  const { size } = await file.stat()
  const text = (await tailOf(file, size)).toString('utf8')
  const line = text.trimEnd().split('\n').at(-1) ?? ''
  return parseLine(line)?.sequence
}
