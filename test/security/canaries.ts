/**
 * Secrets that a test plants, and the search for them wherever none may turn up.
 *
 * Owns the forms in which a secret counts as found: as it is, in any case, with its bytes in base64
 * at any offset, in hexadecimal, and as a URL or JSON would write it. Finds are told by the name
 * that a canary was planted under, never by its text.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

/** What a canary is: what opens something, or a value that somebody stored. */
export type CanaryKind = 'secret' | 'value'

interface Canary {
  readonly name: string
  readonly kind: CanaryKind
  /** What the searched bytes, in lower case, must not hold; and the forms that have a case. */
  readonly folded: readonly string[]
  readonly exact: readonly string[]
}

export class Canaries {
  readonly #planted: Canary[] = []

  get count(): number {
    return this.#planted.length
  }

  /** The token of a form that Consul's API takes. */
  uuid(name: string): string {
    return this.plant(name, randomUUID())
  }

  /** A secret of another form: letters, digits, and characters that URLs and JSON escape. */
  word(name: string): string {
    return this.plant(
      name,
      `c4n4ry/${randomBytes(12).toString('hex')}+"${randomBytes(4).toString('hex')}`,
    )
  }

  /** A value that may lie in the store, but in nothing that is told of it. */
  value(name: string): string {
    return this.plant(name, `v4lu3-${randomBytes(16).toString('hex')}`, 'value')
  }

  /** Remembers a text as one that must not be found; gives it back. */
  plant(name: string, text: string, kind: CanaryKind = 'secret'): string {
    const bytes = Buffer.from(text)
    // The first quote ends what JSON and URLs leave alone: the parts on either side count as well.
    const parts = text.split(/[/+"]/).filter(part => part.length >= LEAST_CHARS)
    const folded = [text, encodeURIComponent(text), JSON.stringify(text).slice(1, -1), ...parts]
    if (/^[0-9a-f-]{36}$/.test(text)) folded.push(text.replaceAll('-', ''))
    this.#planted.push({
      name,
      kind,
      folded: [...new Set([...folded, bytes.toString('hex')].map(each => each.toLowerCase()))],
      exact: base64Forms(bytes),
    })
    return text
  }

  /** The names of the canaries that are in these bytes. */
  foundIn(bytes: Buffer | string, kinds: readonly CanaryKind[] = ['secret', 'value']): string[] {
    const text =
      typeof bytes === 'string' ? Buffer.from(bytes).toString('latin1') : bytes.toString('latin1')
    const lower = text.toLowerCase()
    return this.#planted
      .filter(({ kind }) => kinds.includes(kind))
      .filter(
        ({ folded, exact }) =>
          folded.some(form => lower.includes(form)) || exact.some(form => text.includes(form)),
      )
      .map(({ name }) => name)
  }

  /** What is found in the files of a folder, each as `file: canary`; archives are looked into. */
  foundBelow(folder: string, kinds?: readonly CanaryKind[]): string[] {
    return filesBelow(folder).flatMap(path => {
      const bytes = readFileSync(path)
      const isZipped = bytes[0] === 0x1f && bytes[1] === 0x8b
      const found = [
        ...this.foundIn(bytes, kinds),
        ...(isZipped ? this.foundIn(gunzipSync(bytes), kinds) : []),
      ]
      return found.map(name => `${path}: ${name}`)
    })
  }
}

const LEAST_CHARS = 8

/** All regular files of a folder, and of those in it. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap(name => {
    const path = join(folder, name)
    const found = lstatSync(path)
    if (found.isDirectory()) return filesBelow(path)
    return found.isFile() ? [path] : []
  })
}

/** What base64 makes of the bytes, whatever stands before them: the characters that they fix. */
function base64Forms(bytes: Buffer): string[] {
  return ['base64', 'base64url'].flatMap(encoding =>
    [0, 1, 2].map(before => {
      const text = Buffer.concat([Buffer.alloc(before), bytes]).toString(encoding as 'base64')
      const TOUCHED = [0, 2, 3]
      return text.replace(/=+$/, '').slice(TOUCHED[before], -2)
    }),
  )
}
