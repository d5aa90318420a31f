/**
 * A file that a program lives by: checked by that program before or as soon as it stands there,
 * loaded by another one, and put back when either refuses it.
 *
 * Owns the file, its rights, and a note beside it of what stood there before (`.NAME.gatehouse`),
 * which is there from before the file is replaced until it is loaded: whoever was killed in between
 * finds it, checks and loads again, and can still put the last good one back. A check whose words
 * have `{file}` reads the new text from a file beside; any other is run once it is in its place.
 */
import { randomBytes } from 'node:crypto'
import { chown, lstat, open, readFile, rename } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { messageOf } from '../../base/errors.ts'
import {
  hasCode,
  readFileIfExists,
  removeFile,
  syncFolder,
  writeFileAtomic,
} from '../../base/io/file.ts'
import { limits } from '../../base/limits.ts'
import { type Applied, type Plan, type SinkPorts, TargetRefusal } from './declare.ts'
import { lineChanges } from './lines.ts'
import { faultOf } from './program.ts'
import type { SettingFields, SettingsOf } from './schema.ts'

/** The settings of sinks that write a file. */
export const fileFields = {
  path: { type: 'text', help: 'the file, absolute', isRequired: true, isLocal: true },
  mode: { type: 'text', help: 'its rights, in octal', byDefault: '0644', isLocal: true },
  owner: {
    type: 'text',
    help: 'whose it is: user, user:group or numbers; ours unless given',
    isLocal: true,
  },
  check: {
    type: 'texts',
    help: 'a program that ends with 0 where the file is right; {file} in it is a copy beside',
    isLocal: true,
  },
  reload: {
    type: 'texts',
    help: 'a program that has the new file loaded; where it fails, the old one is put back',
    isLocal: true,
  },
  timeout: {
    type: 'duration',
    help: 'what check and reload may take, each',
    byDefault: limits.sinkProgramTimeoutMs,
    minMs: 10,
  },
  private: {
    type: 'switch',
    help: 'plans and status tell that it changes, not what is in it',
    byDefault: false,
  },
} as const satisfies SettingFields

type FileSettings = SettingsOf<typeof fileFields>

/** What is wrong with the settings of a file; undefined where nothing is. */
export function fileProblem({ path, mode, check, reload }: FileSettings): string | undefined {
  if (!isAbsolute(path) || path.endsWith('/')) return 'path: must be an absolute path of a file'
  if (!/^0?[0-7]{3}$/.test(mode)) return 'mode: must be octal, such as 0640'
  if (check?.length === 0) return 'check: names no program'
  if (reload?.length === 0) return 'reload: names no program'
  return undefined
}

/** What is done to have a text stand in a file. */
export class CheckedFile {
  readonly #settings: FileSettings
  readonly #ports: SinkPorts
  readonly #note: string

  constructor(settings: FileSettings, ports: SinkPorts) {
    this.#settings = settings
    this.#ports = ports
    this.#note = join(dirname(settings.path), `.${basename(settings.path)}.gatehouse`)
  }

  /** What stands there; undefined where nothing does. Rejects where it is no plain file. */
  async current(): Promise<string | undefined> {
    const { path } = this.#settings
    const found = await lstat(path).catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    })
    if (found === undefined) return undefined
    if (!found.isFile()) throw new Error(`${path} is no plain file`)
    if (found.size > limits.sinkFileSizeBytes) throw new Error(`${path} is too large`)
    return await readFile(path, 'utf8')
  }

  /** What would change. */
  async plan(text: string): Promise<Plan | TargetRefusal> {
    try {
      const [current, isBegun] = [await this.current(), await this.#isBegun()]
      return { changes: this.#changes(current, text, isBegun), problems: [] }
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  /** Has the text stand there, checked and loaded; else what stood there stands there again. */
  async apply(text: string, signal: AbortSignal): Promise<Applied | TargetRefusal> {
    try {
      const [current, isBegun] = [await this.current(), await this.#isBegun()]
      const changes = this.#changes(current, text, isBegun)
      const applied: Applied = { changes, problems: [], againMs: undefined }
      if (changes.length === 0) return applied
      return (await this.#replace(current, text, signal)) ?? applied
    } catch (error) {
      return new TargetRefusal(messageOf(error), true)
    }
  }

  async #replace(
    current: string | undefined,
    text: string,
    signal: AbortSignal,
  ): Promise<TargetRefusal | undefined> {
    const { check, reload } = this.#settings
    const isBeside = check?.includes('{file}') === true
    const beside = await this.#write(text)
    let target: TargetRefusal['target'] = 'as it was'
    try {
      const fault = isBeside ? await this.#run(check, beside, signal) : undefined
      if (fault !== undefined) return new TargetRefusal(fault, true)
      signal.throwIfAborted()
      const good = await this.#remember(current)
      target = 'unknown'
      await rename(beside, this.#settings.path)
      await syncFolder(dirname(this.#settings.path))
      const wrong = isBeside ? undefined : await this.#run(check, beside, signal)
      if (wrong !== undefined) return await this.#putBack(good, wrong, false)
      const unloaded = await this.#run(reload, beside, signal)
      if (unloaded !== undefined) return await this.#putBack(good, unloaded, true)
      await this.#forget()
      return undefined
    } catch (error) {
      // Where it was replaced, the note is left: the next one goes on from there.
      return new TargetRefusal(messageOf(error), true, target)
    } finally {
      await removeFile(beside)
    }
  }

  /** The last good one again, also where the work was stopped in the middle. */
  async #putBack(good: string | undefined, why: string, isLoaded: boolean): Promise<TargetRefusal> {
    const { path, reload } = this.#settings
    if (good === undefined) await removeFile(path)
    else await rename(await this.#write(good), path)
    await syncFolder(dirname(path))
    const { signal } = new AbortController()
    const again = isLoaded ? await this.#run(reload, path, signal) : undefined
    await this.#forget()
    if (again === undefined) return new TargetRefusal(why, true, 'put back')
    const text = `${why}; the last good file was put back, and loading it failed as well: ${again}`
    return new TargetRefusal(text, true, 'unknown')
  }

  async #run(
    words: readonly string[] | undefined,
    file: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (words === undefined) return undefined
    const named = words.map(word => word.replaceAll('{file}', () => file))
    const program = { words: named, input: '', timeoutMs: this.#settings.timeout }
    const fault = await faultOf(this.#ports, program, signal)
    return fault?.replaceAll(file, () => this.#settings.path)
  }

  /** Writes a file beside, with its rights and owner; the end of its name is that of the file. */
  async #write(text: string): Promise<string> {
    const { path, mode, owner } = this.#settings
    const name = `.gatehouse-${randomBytes(6).toString('hex')}-${basename(path)}`
    const beside = join(dirname(path), name)
    const whose = owner === undefined ? undefined : await idsOf(owner)
    const file = await open(beside, 'wx', 0o600)
    try {
      await file.writeFile(text)
      if (whose !== undefined) await chown(beside, whose.user, whose.group)
      await file.chmod(Number.parseInt(mode, 8))
      await file.sync()
    } catch (error) {
      await removeFile(beside)
      throw error
    } finally {
      await file.close()
    }
    return beside
  }

  /** Notes what stood there; where a note is left from before, that is what is good. */
  async #remember(current: string | undefined): Promise<string | undefined> {
    const left = await readFileIfExists(this.#note)
    const noted = left === undefined ? undefined : goodIn(left)
    if (noted !== undefined) return noted.good
    await writeFileAtomic(this.#note, JSON.stringify({ good: current ?? null }))
    return current
  }

  async #isBegun(): Promise<boolean> {
    return (await readFileIfExists(this.#note)) !== undefined
  }

  async #forget(): Promise<void> {
    await removeFile(this.#note)
    await syncFolder(dirname(this.#note))
  }

  #changes(current: string | undefined, text: string, isBegun: boolean): readonly string[] {
    const { path, private: isPrivate } = this.#settings
    if (current === text) {
      return isBegun ? [`~ ${path}: check and load what was begun before`] : []
    }
    const what = current === undefined ? `+ ${path}` : `~ ${path}`
    return isPrivate ? [what] : [what, ...lineChanges(current ?? '', text)]
  }
}

/** What a note says; undefined where it says nothing that can be read. */
function goodIn(bytes: Buffer): { readonly good: string | undefined } | undefined {
  try {
    const { good } = JSON.parse(bytes.toString('utf8'))
    if (good === null) return { good: undefined }
    return typeof good === 'string' ? { good } : undefined
  } catch {
    return undefined
  }
}

/** The numbers of a user and a group, by passwd(5) and group(5). */
async function idsOf(owner: string): Promise<{ readonly user: number; readonly group: number }> {
  const [user = '', group] = owner.split(':')
  const passwd = await entryOf('/etc/passwd', user)
  const own = isNumber(user) ? Number(user) : Number(passwd?.[2])
  if (!Number.isInteger(own)) throw new Error(`owner: there is no user ${JSON.stringify(user)}`)
  if (group === undefined) return { user: own, group: Number(passwd?.[3] ?? -1) }
  const found = isNumber(group) ? Number(group) : Number((await entryOf('/etc/group', group))?.[2])
  if (Number.isInteger(found)) return { user: own, group: found }
  throw new Error(`owner: there is no group ${JSON.stringify(group)}`)
}

const isNumber = (text: string): boolean => /^\d{1,10}$/.test(text)

async function entryOf(path: string, name: string): Promise<readonly string[] | undefined> {
  const text = (await readFileIfExists(path))?.toString('utf8') ?? ''
  const lines = text.split('\n').map(line => line.split(':'))
  return lines.find(([own]) => own === name)
}
