/**
 * The folder in which a certificate, its key and its chain are kept for a program that serves by
 * them.
 *
 * Owns the layout. `cert.pem`, `key.pem`, `chain.pem`, `fullchain.pem` and `bundle.pem` are links
 * through the link `live` into a folder that holds one generation of them all, so that one rename
 * changes them together: at any moment the files are of one certificate, and after a crash they
 * are those of before or those of after.
 */
import {
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hasCode, readFileIfExists, syncFolder, writeFileAtomic } from '../../base/io/file.ts'
import { type Pair, pairOf } from './pair.ts'

const LIVE = 'live'
const GENERATIONS = 'generations'
const GENERATION = /^[0-9a-f]{12}$/
/** What says that a program was told of a generation, and what it was asked for by. */
const TOLD = 'told'
const ASKED = 'asked'
const OPEN_BITS = 0o644
const FOLDER_BITS = 0o755

/** What stands in the folder. */
export interface Kept {
  readonly pair: Pair
  /** A hash of what it was asked for by; '' where nobody knows. */
  readonly asked: string
  /** Whether the program that serves by it was told. */
  readonly isTold: boolean
}

export interface NewPair {
  readonly pair: Pair
  readonly asked: string
  /** Names its generation: twelve digits of lower hex that no other has. */
  readonly id: string
}

/** The folder of one certificate. */
export class CertFolder {
  readonly path: string
  readonly #keyBits: number

  /** `keyBits` are the rights of what holds the key. */
  constructor(path: string, keyBits = 0o600) {
    this.path = path
    this.#keyBits = keyBits
  }

  /** What is kept now; undefined where nothing is. Throws where that is not readable. */
  async kept(): Promise<Kept | undefined> {
    const folder = await this.#generation()
    if (folder === undefined) return undefined
    const read = async (name: string): Promise<string> =>
      (await readFile(join(folder, name))).toString('utf8')
    const pair = pairOf({
      certificate: await read('cert.pem'),
      key: await read('key.pem'),
      chain: await read('chain.pem'),
    })
    const asked = (await readFileIfExists(join(folder, ASKED)))?.toString('utf8') ?? ''
    const isTold = (await readFileIfExists(join(folder, TOLD))) !== undefined
    return { pair, asked, isTold }
  }

  /**
   * Throws where something else stands at one of the names; makes the folder where there is none.
   */
  async prepare(): Promise<void> {
    await mkdir(join(this.path, GENERATIONS), { recursive: true, mode: FOLDER_BITS })
    for (const name of [LIVE, ...Object.keys(filesOf(noPair))]) {
      const at = join(this.path, name)
      try {
        const to = await readlink(at)
        if (name === LIVE ? to.startsWith(`${GENERATIONS}/`) : to === join(LIVE, name)) continue
      } catch (error) {
        if (hasCode(error, 'ENOENT')) continue
        if (!hasCode(error, 'EINVAL')) throw error
      }
      throw new Error(`${at} is there already, and is no link of ours: move it away`)
    }
  }

  /** Keeps a pair: all names are of it once this resolves, and none before. */
  async put({ pair, asked, id }: NewPair): Promise<void> {
    const folder = join(this.path, GENERATIONS, id)
    await mkdir(folder, { mode: FOLDER_BITS })
    for (const [name, { text, isSecret }] of Object.entries(filesOf(pair))) {
      const modeBits = isSecret ? this.#keyBits : OPEN_BITS
      await writeFileAtomic(join(folder, name), text, { modeBits })
    }
    await writeFileAtomic(join(folder, ASKED), asked, { modeBits: OPEN_BITS })
    const before = await this.#generation()
    await this.#link(LIVE, join(GENERATIONS, id))
    for (const name of Object.keys(filesOf(noPair))) await this.#link(name, join(LIVE, name))
    await syncFolder(this.path)
    // Whoever opened the folder before this may still read the one that it found there.
    await this.#removeAllBut([id, before === undefined ? '' : basename(before)])
  }

  /** Says that the program was told of what is kept now. */
  async tell(): Promise<void> {
    const folder = await this.#generation()
    if (folder !== undefined) await writeFile(join(folder, TOLD), '', { mode: OPEN_BITS })
  }

  async #generation(): Promise<string | undefined> {
    try {
      return join(this.path, await readlink(join(this.path, LIVE)))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async #link(name: string, to: string): Promise<void> {
    const at = join(this.path, name)
    const found = await readlink(at).catch(() => undefined)
    if (found === to) return
    const beside = join(this.path, `.${name}.tmp`)
    await rm(beside, { force: true })
    await symlink(to, beside)
    await rename(beside, at)
  }

  async #removeAllBut(kept: readonly string[]): Promise<void> {
    const folder = join(this.path, GENERATIONS)
    const old = (await readdir(folder)).filter(id => GENERATION.test(id) && !kept.includes(id))
    for (const id of old) await rm(join(folder, id), { recursive: true, force: true })
  }
}

const noPair = { certificate: '', key: '', chain: '' }

/** The files of a generation. */
function filesOf({ certificate, key, chain }: Pick<Pair, 'certificate' | 'key' | 'chain'>) {
  const open = (text: string) => ({ text, isSecret: false })
  const secret = (text: string) => ({ text, isSecret: true })
  return {
    'key.pem': secret(key),
    'cert.pem': open(certificate),
    'chain.pem': open(chain),
    'fullchain.pem': open(certificate + chain),
    'bundle.pem': secret(key + certificate + chain),
  }
}
