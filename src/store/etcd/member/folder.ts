/**
 * What a managed member has on the disk beside its data.
 *
 * Owns the names below `<data_dir>/member` (0700, files 0600), which data of etcd's own stands in
 * `<data_dir>/etcd`, and what is remembered of the member over a restart: without it nobody could
 * tell a new member from one whose data is lost.
 */
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { OperatingCode, OperatingError } from '../../../base/errors.ts'
import {
  ensurePrivateFolder,
  hasCode,
  readFileIfExists,
  removeFile,
  writeFileAtomic,
} from '../../../base/io/file.ts'
import type { MemberAddress, MemberFiles } from './words.ts'

/** What a member shows and trusts, in PEM. */
export interface MemberPems {
  readonly cert: string
  readonly key: string
  readonly roots: string
}

/** What is remembered of the member of this server. */
export interface MemberState {
  /** The cluster that it belongs to: ours, not etcd's. */
  readonly clusterId: string
  /**
   * `founding`: started with its fellows, never ready yet. `asking`: wants to be added. `added`:
   * may start as a learner. `member`: was ready once; its data is needed. `removed`: the others
   * have let it go.
   */
  readonly phase: 'founding' | 'asking' | 'added' | 'member' | 'removed'
  /** Drawn anew with each empty folder, so that lost data is noticed. */
  readonly incarnation: string
  /** All members as they were last seen. */
  readonly members: readonly MemberAddress[]
}

/** The paths of one server's member. */
export class MemberFolder {
  /** Etcd's own. */
  readonly data: string
  /** Ours. */
  readonly own: string
  readonly pidFile: string
  readonly files: MemberFiles
  readonly #stateFile: string

  constructor(dataDir: string) {
    this.data = join(dataDir, 'etcd')
    this.own = join(dataDir, 'member')
    this.pidFile = join(this.own, 'etcd.pid')
    // Certificate and key in one file: they are replaced together or not at all.
    const identity = join(this.own, 'identity.pem')
    this.files = { cert: identity, key: identity, roots: join(this.own, 'roots.pem') }
    this.#stateFile = join(this.own, 'state.json')
  }

  /** Makes the folders. */
  async prepare(): Promise<void> {
    await ensurePrivateFolder(this.own)
    await ensurePrivateFolder(this.data)
  }

  /** Replaces what the member shows and trusts; gives whether the roots became others. */
  async writePems({ cert, key, roots }: MemberPems): Promise<boolean> {
    const before = await readFileIfExists(this.files.roots)
    await writeFileAtomic(this.files.cert, `${cert.trimEnd()}\n${key.trimEnd()}\n`)
    const isSame = before?.toString('utf8') === roots
    if (!isSame) await writeFileAtomic(this.files.roots, roots)
    return !isSame
  }

  /** What is remembered; undefined where there never was a member. */
  async readState(): Promise<MemberState | undefined> {
    const bytes = await readFileIfExists(this.#stateFile)
    if (bytes === undefined) return undefined
    const state = parsed(bytes.toString('utf8'))
    if (state !== undefined) return state
    throw new OperatingError(
      OperatingCode.damaged,
      `${this.#stateFile} cannot be read. If ${this.data} is whole, restore the file from a ` +
        'backup; else remove both folders, and this server joins anew',
    )
  }

  writeState(state: MemberState): Promise<void> {
    return writeFileAtomic(this.#stateFile, `${JSON.stringify(state)}\n`)
  }

  forgetState(): Promise<void> {
    return removeFile(this.#stateFile)
  }

  /** Whether etcd has begun to write its data. */
  hasData(): Promise<boolean> {
    return hasEtcdData(this.data)
  }

  /** Puts the data aside under a name that says why; gives where it lies now. */
  async putAside(why: string, at: string): Promise<string> {
    const aside = `${this.data}.${why}-${at}`
    await rename(this.data, aside)
    await mkdir(this.data, { mode: 0o700 })
    return aside
  }
}

/** Whether etcd has begun to write its data in a folder. */
export async function hasEtcdData(folder: string): Promise<boolean> {
  try {
    return (await readdir(join(folder, 'member', 'wal'))).length > 0
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}

const PHASES = ['founding', 'asking', 'added', 'member', 'removed']

function parsed(text: string): MemberState | undefined {
  try {
    const state = JSON.parse(text) as MemberState
    const isWhole =
      typeof state.clusterId === 'string' &&
      PHASES.includes(state.phase) &&
      typeof state.incarnation === 'string' &&
      Array.isArray(state.members)
    return isWhole ? state : undefined
  } catch {
    return undefined
  }
}
