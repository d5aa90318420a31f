/**
 * Our own sources as the tidy tests see them: text, code without comments and strings, imports
 * and exports.
 *
 * Reads with plain patterns what the formatter has already brought into one form; only comments
 * and strings are taken out by a real tokenizer, as patterns cannot tell them apart.
 */
import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import path from 'node:path'
import { type Comment, parse, type Token, tokTypes } from 'acorn'
import type { Test } from 'tap'

/** The folder that holds package.json. */
export const root = path.resolve(import.meta.dirname, '../..')

/** One import or re-export. `names` holds `*` when everything is taken. */
export interface Import {
  /** The specifier as written: `./view.ts`, `node:fs`, `level`. */
  readonly from: string
  /** For relative specifiers the file's path from the root, as `Source.path`. */
  readonly file: string | undefined
  readonly names: readonly string[]
}

/** One name that a file exports. */
export interface Export {
  readonly name: string
  /** True for types and interfaces, which are gone when the program runs. */
  readonly isType: boolean
  readonly isFunction: boolean
  /** True when a doc comment stands right before it. */
  readonly isDocumented: boolean
}

export interface Source {
  /** Path from the root, with slashes: `src/base/clock.ts`. */
  readonly path: string
  readonly text: string
  /** The text without types; comments and the contents of strings are blank. */
  readonly code: string
  readonly imports: readonly Import[]
  readonly exports: readonly Export[]
}

/** All TypeScript files of the given top folders, in the order of their paths. */
export function sourcesOf(...folders: string[]): Source[] {
  return folders.flatMap(folder => filesOf(`${folder}/**/*.ts`)).map(readSource)
}

/** Paths from the root that match, sorted. */
export function filesOf(pattern: string): string[] {
  return globSync(pattern, { cwd: root }).sort()
}

/** Every file of ours that is text: code, settings, pages; not what is installed or built. */
export function everyTextFile(): string[] {
  const foreign = ['node_modules', '.git', '.tap', 'data', 'dist']
  return globSync('{**/*.*,bin/*,.*,.ci/*}', {
    cwd: root,
    exclude: entry => foreign.includes(entry.name),
    withFileTypes: true,
  })
    .filter(entry => entry.isFile() && !foreign.includes(entry.name))
    .filter(entry => !/\.(tgz|log|png|tar|gz|bin)$/.test(entry.name))
    .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort()
}

/** The text of a file by its path from the root. */
export function textOf(file: string): string {
  return readFileSync(path.join(root, file), 'utf8')
}

/** `path:line` of each match of `pattern` (with flag g) in `code`. */
export function linesOf(source: Source, code: string, pattern: RegExp): string[] {
  return [...code.matchAll(pattern)].map(match => {
    const line = code.slice(0, match.index).split('\n').length
    return `${source.path}:${line} ${match[0].trim()}`
  })
}

/** Passes when there are no findings; else fails once for each, naming it. */
export function none(t: Test, findings: readonly string[]): void {
  if (findings.length === 0) t.pass()
  for (const finding of findings) t.fail(finding, { at: null, stack: '' })
}

function readSource(file: string): Source {
  const text = textOf(file)
  return {
    path: file,
    text,
    code: bareCode(text),
    imports: importsOf(file, text),
    exports: exportsOf(text),
  }
}

function bareCode(text: string): string {
  const plain = stripTypeScriptTypes(text)
  const blanks: { start: number; end: number }[] = []
  const comments: Comment[] = []
  const onToken = (token: Token) => {
    const isText = token.type === tokTypes.string || token.type === tokTypes.template
    if (isText || token.type === tokTypes.regexp) blanks.push(token)
  }
  parse(plain, {
    ecmaVersion: 'latest',
    sourceType: 'module',
    allowHashBang: true,
    onComment: comments,
    onToken,
  })
  const parts = plain.split('')
  for (const { start, end } of [...blanks, ...comments]) {
    for (let at = start; at < end; at += 1) if (parts[at] !== '\n') parts[at] = ' '
  }
  return parts.join('')
}

function importsOf(file: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\b([^'"`;=()]*?)\bfrom '([^']+)'/gm)
  const bare = text.matchAll(/^import '([^']+)'/gm)
  const lazy = text.matchAll(/\bimport\('([^']+)'\)|\bnew URL\('(\.[^']+\.ts)'/g)
  return [
    ...[...statements].map(([, names = '', from = '']) => [from, namesOf(names)] as const),
    ...[...bare].map(([, from = '']) => [from, []] as const),
    ...[...lazy].map(([, from, url]) => [from ?? url ?? '', ['*']] as const),
  ].map(([from, names]) => ({
    from,
    names,
    file: from.startsWith('.') ? path.posix.join(path.posix.dirname(file), from) : undefined,
  }))
}

/** `type A, { type B, c as d }` names A, B and c; `* as x` names everything. */
function namesOf(clause: string): string[] {
  if (clause.includes('*')) return ['*']
  const inner = /\{([^}]*)\}/.exec(clause)?.[1] ?? ''
  const named = inner.split(',').map(part => part.replace(/\btype\s/, '').split(/\sas\s/)[0] ?? '')
  const whole = clause.replace(/\{[^}]*\}/, '').replace(/\btype\s/, '')
  return [...named, whole.trim() && 'default'].map(name => name.trim()).filter(name => name !== '')
}

function exportsOf(text: string): Export[] {
  const words = 'const|let|function\\*?|class|interface|type'
  const pattern = `(\\*/\\n)?^export (?:default |abstract |async )*(${words}) (\\w+)`
  const declared = [...text.matchAll(new RegExp(pattern, 'gm'))]
  return declared.map(([, doc, kind = '', name = '']) => ({
    name,
    isType: kind === 'type' || kind === 'interface',
    isFunction: kind.startsWith('function'),
    isDocumented: doc !== undefined,
  }))
}
