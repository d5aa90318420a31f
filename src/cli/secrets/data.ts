/**
 * The data that stands behind a path: `key=value`, `key=@file`, `key=-`, `@file.json` and `-`.
 *
 * Owns their reading. A mistake names the place of a word, never the word: it may be a secret
 * that lacks its key.
 */
import { readFile } from 'node:fs/promises'
import { parseExact } from '../../base/exact-json.ts'
import type { Io } from '../command.ts'
import { Failure } from './failure.ts'
import { type Data, isData } from './secret.ts'

/** What the data is read with. */
export interface DataSource {
  readonly io: Pick<Io, 'readStdin'>
  /** Whether stdin may be read: not where `-non-interactive` says so. */
  readonly mayRead: boolean
}

/**
 * The data of the words; keys that are repeated make a list. Values are texts, but for those of
 * JSON. Throws Failure.
 */
export async function readData(
  words: readonly string[],
  source: DataSource,
  fault = 'Failed to parse K=V data',
): Promise<Data> {
  const data = new Map<string, unknown>()
  const stdin = onceOnly(source)
  for (const [at, word] of words.entries()) {
    try {
      for (const [key, value] of await entriesOf(word, stdin)) put(data, key, value)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Failure(`${fault}: invalid key/value pair (argument ${at + 1}): ${reason}`, 1)
    }
  }
  return Object.fromEntries(data)
}

/** The same where every value must be a text: numbers and switches of JSON become theirs. */
export async function readTexts(
  words: readonly string[],
  source: DataSource,
  fault?: string,
): Promise<Record<string, string>> {
  const data = await readData(words, source, fault)
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => {
      const isPlain = typeof value !== 'object' || value === null
      if (!isPlain) throw new Failure(`the value of ${JSON.stringify(key)} must be a text`, 1)
      return [key, String(value ?? '')]
    }),
  )
}

/** The same as parameters of a query. */
export async function readQuery(
  words: readonly string[],
  source: DataSource,
  fault?: string,
): Promise<Record<string, string | string[]>> {
  const data = await readData(words, source, fault)
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map(textOf) : textOf(value),
    ]),
  )
}

const textOf = (value: unknown): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value)

async function entriesOf(
  word: string,
  stdin: () => Promise<string>,
): Promise<readonly (readonly [string, unknown])[]> {
  if (word === '') return []
  if (word === '-') return objectOf(await stdin())
  const at = word.indexOf('=')
  if (at === -1 && word.startsWith('@')) return objectOf(await textOfFile(word.slice(1)))
  if (at === -1) throw new Error('format must be key=value')
  return [[word.slice(0, at), await valueText(word.slice(at + 1), stdin)]]
}

/** A value may come from a file or from stdin; `\@` is an at sign. */
async function valueText(text: string, stdin: () => Promise<string>): Promise<string> {
  if (text.startsWith('@')) return textOfFile(text.slice(1))
  if (text.startsWith('\\@')) return text.slice(1)
  return text === '-' ? stdin() : text
}

function put(data: Map<string, unknown>, key: string, value: unknown): void {
  const before = data.get(key)
  if (!data.has(key)) data.set(key, value)
  else data.set(key, [...(Array.isArray(before) ? before : [before]), value])
}

function objectOf(text: string): readonly (readonly [string, unknown])[] {
  let parsed: unknown
  try {
    parsed = parseExact(text)
  } catch {
    throw new Error('it holds no JSON')
  }
  if (!isData(parsed)) throw new Error('its JSON must be an object')
  return Object.entries(parsed)
}

async function textOfFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code = 'unreadable' } = error as { code?: string }
    throw new Error(`error reading file: ${path}: ${code}`)
  }
}

function onceOnly({ io, mayRead }: DataSource): () => Promise<string> {
  let isRead = false
  return async () => {
    if (isRead) throw new Error('stdin already consumed')
    isRead = true
    return mayRead ? (await io.readStdin()).toString('utf8') : ''
  }
}
