/**
 * Templates of files: text with values and sections in the form that mustache made known.
 *
 * Owns the language and its bounds. Nothing in it is evaluated: a name leads to a value or it does
 * not. Each value is quoted for what the file is, or refused; an item of a list whose values cannot
 * stand is left out whole, and told, so that a hostile name among many never stops the others.
 * docs/sinks-kinds.md is the reference. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'

/** A list whose items are also found by name. */
export interface Named {
  readonly items: readonly View[]
  readonly by: ReadonlyMap<string, View>
}

/** A value that we made of parts that were looked at: it stands as it is. */
export class Verbatim {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** What a name leads to. */
export type View = string | number | boolean | Verbatim | Named | readonly View[] | ViewRecord
export interface ViewRecord {
  readonly [name: string]: View
}

/** Makes a value stand in the file; undefined where it cannot. */
export type Quote = (value: string) => string | undefined

/** What came of a template. */
export interface Filled {
  readonly text: string
  readonly problems: readonly string[]
}

type Segment = { readonly name: string } | { readonly key: string }

type Node =
  | { readonly what: 'text'; readonly text: string }
  | { readonly what: 'value'; readonly path: Path; readonly isRaw: boolean }
  | {
      readonly what: 'section'
      readonly path: Path
      readonly isInverted: boolean
      readonly children: readonly Node[]
    }

interface Path {
  readonly text: string
  readonly line: number
  readonly segments: readonly Segment[]
}

/** A template that was read. */
export interface Template {
  readonly nodes: readonly Node[]
}

/** Reads a template; a refusal names the line. */
export function parseTemplate(text: string): Template | Refusal {
  if (text.length > limits.sinkFileSizeBytes) return new Refusal(413, 'the template is too large')
  const open: { readonly path: Path; readonly isInverted: boolean; readonly nodes: Node[] }[] = []
  const top: Node[] = []
  let nodes = top
  try {
    for (const token of tokensOf(text)) {
      if (typeof token === 'string') {
        if (token !== '') nodes.push({ what: 'text', text: token })
        continue
      }
      const { mark, line } = token
      const path = mark === '!' ? undefined : pathOf(token.text, line)
      if (path === undefined) continue
      if (mark === '#' || mark === '^') {
        if (open.length >= DEPTH) throw new TemplateFault(line, 'sections within too many others')
        open.push({ path, isInverted: mark === '^', nodes })
        nodes = []
      } else if (mark === '/') {
        const begun = open.pop()
        if (begun?.path.text !== path.text) {
          throw new TemplateFault(line, `{{/${path.text}}} ends what did not begin`)
        }
        const { isInverted } = begun
        begun.nodes.push({ what: 'section', path: begun.path, isInverted, children: nodes })
        nodes = begun.nodes
      } else {
        nodes.push({ what: 'value', path, isRaw: mark === '{' })
      }
    }
    const left = open.at(-1)
    if (left !== undefined) {
      throw new TemplateFault(left.path.line, `{{#${left.path.text}}} has no end`)
    }
  } catch (error) {
    if (error instanceof TemplateFault) return error.refusal
    throw error
  }
  return { nodes: top }
}

/** Fills a template in. A refusal where a name leads nowhere, or the whole is too large. */
export function fillTemplate(
  { nodes }: Template,
  view: ViewRecord,
  quote: Quote,
): Filled | Refusal {
  const filling = new Filling(quote)
  try {
    const text = filling.fill(nodes, [view])
    return { text, problems: filling.problems }
  } catch (error) {
    if (error instanceof TemplateFault) return error.refusal
    throw error
  }
}

const DEPTH = 32

class TemplateFault extends Error {
  readonly refusal: Refusal

  constructor(line: number, text: string) {
    super(text)
    this.refusal = new Refusal(400, `the template's line ${line}: ${text}`)
  }
}

/** A value that the file cannot take: the item around it is left out. */
class Unquotable extends Error {}

interface Token {
  readonly mark: string
  readonly text: string
  readonly line: number
}

/** Texts and tags in turn. A line with nothing but one section's tag or a comment is no line. */
function* tokensOf(text: string): Generator<string | Token> {
  let at = 0
  let line = 1
  for (;;) {
    const begin = text.indexOf('{{', at)
    if (begin < 0) {
      yield text.slice(at)
      return
    }
    const isTriple = text.startsWith('{{{', begin)
    const close = isTriple ? '}}}' : '}}'
    const end = text.indexOf(close, begin)
    line += linesIn(text.slice(at, begin))
    if (end < 0) throw new TemplateFault(line, `{{ without ${close}`)
    const inner = text.slice(begin + close.length, end)
    const [, given = '', word = ''] = /^\s*([#^/!]?)(.*)$/s.exec(inner) ?? []
    let before = text.slice(at, begin)
    let after = end + close.length
    if (given !== '') {
      // Standing alone, it takes its line with it.
      const indent = /(?:^|\n)([ \t]*)$/.exec(text.slice(0, begin))
      const rest = /^[ \t]*(\r?\n|$)/.exec(text.slice(after))
      if (indent !== null && rest !== null) {
        before = before.slice(0, before.length - (indent[1] ?? '').length)
        after += rest[0].length
      }
    }
    yield before
    yield { mark: isTriple ? '{' : given, text: word.trim(), line }
    line += linesIn(text.slice(begin, after))
    at = after
  }
}

const linesIn = (text: string): number => text.split('\n').length - 1

const FIRST = /([A-Za-z_]\w*)/y
const NEXT = /\.([A-Za-z_]\w*)|\[([^\]\n]*)\]/y

function pathOf(text: string, line: number): Path {
  if (text === '.') return { text, line, segments: [] }
  const segments: Segment[] = []
  FIRST.lastIndex = 0
  const first = FIRST.exec(text)?.[1]
  if (first === undefined) throw new TemplateFault(line, `${JSON.stringify(text)} is no name`)
  segments.push({ name: first })
  NEXT.lastIndex = FIRST.lastIndex
  while (NEXT.lastIndex < text.length) {
    const [, name, key] = NEXT.exec(text) ?? []
    if (name !== undefined) segments.push({ name })
    else if (key !== undefined) segments.push({ key })
    else throw new TemplateFault(line, `${JSON.stringify(text)} is no name`)
  }
  return { text, line, segments }
}

class Filling {
  readonly problems: string[] = []
  readonly #quote: Quote
  #size = 0

  constructor(quote: Quote) {
    this.#quote = quote
  }

  fill(nodes: readonly Node[], stack: readonly View[]): string {
    let text = ''
    for (const node of nodes) text += this.#one(node, stack)
    return text
  }

  #one(node: Node, stack: readonly View[]): string {
    if (node.what === 'text') return this.#counted(node.text, 0)
    const found = lookUp(node.path, stack)
    if (node.what === 'value') return this.#value(node, found)
    const { isInverted, children, path } = node
    if (isInverted) return isEmpty(found) ? this.fill(children, stack) : ''
    if (isEmpty(found) || found === undefined) return ''
    const list = listOf(found)
    if (list !== undefined) return this.#list(list, children, stack, path)
    return this.fill(children, typeof found === 'object' ? [...stack, found] : stack)
  }

  #list(
    list: readonly View[],
    children: readonly Node[],
    stack: readonly View[],
    path: Path,
  ): string {
    let text = ''
    for (const item of list) {
      const size = this.#size
      try {
        text += this.fill(children, [...stack, item])
      } catch (error) {
        if (!(error instanceof Unquotable)) throw error
        this.#size = size
        this.#tell(`left out of ${path.text}: ${error.message}`)
      }
    }
    return text
  }

  #value({ path, isRaw }: { readonly path: Path; readonly isRaw: boolean }, found?: View): string {
    if (found === undefined) return ''
    if (found instanceof Verbatim) return this.#counted(found.text, path.line)
    if (typeof found === 'object') {
      throw new TemplateFault(path.line, `${path.text} is a list or has parts; it has no text`)
    }
    const value = String(found)
    const quoted = isRaw ? value : this.#quote(value)
    if (quoted === undefined) {
      const shown = JSON.stringify(value.slice(0, 60).toWellFormed())
      throw new Unquotable(`${path.text} is ${shown}, which cannot stand in this file`)
    }
    return this.#counted(quoted, path.line)
  }

  #counted(text: string, line: number): string {
    this.#size += text.length
    if (this.#size <= limits.sinkFileSizeBytes) return text
    throw new TemplateFault(line, `the file would be larger than ${limits.sinkFileSizeBytes} bytes`)
  }

  #tell(problem: string): void {
    if (this.problems.length < limits.sinkPlanLines) this.problems.push(problem)
  }
}

/** The first name is looked for from within outwards, the others in what was found. */
function lookUp({ segments, text, line }: Path, stack: readonly View[]): View | undefined {
  const [first, ...rest] = segments
  if (first === undefined) return stack.at(-1)
  const { name } = first as { readonly name: string }
  const holder = stack.findLast(one => recordOf(one) !== undefined && has(one, name))
  if (holder === undefined) throw new TemplateFault(line, `nothing is called ${name}`)
  let found: View | undefined = recordOf(holder)?.[name]
  for (const segment of rest) {
    if (found === undefined) return undefined
    if ('key' in segment) {
      if (!isNamed(found)) {
        throw new TemplateFault(line, `${text}: there is nothing to look [${segment.key}] up in`)
      }
      found = found.by.get(segment.key)
    } else {
      if (!has(found, segment.name)) {
        throw new TemplateFault(line, `${text}: nothing is called ${segment.name}`)
      }
      found = recordOf(found)?.[segment.name]
    }
  }
  return found
}

const isNamed = (view: View): view is Named =>
  typeof view === 'object' && Object.hasOwn(view, 'by') && (view as Named).by instanceof Map

const listOf = (view: View): readonly View[] | undefined => {
  if (Array.isArray(view)) return view
  return isNamed(view) ? view.items : undefined
}

function recordOf(view: View): ViewRecord | undefined {
  if (typeof view !== 'object' || view instanceof Verbatim) return undefined
  if (listOf(view) !== undefined) return undefined
  return view as ViewRecord
}

const has = (view: View, name: string): boolean => {
  const record = recordOf(view)
  return record !== undefined && Object.hasOwn(record, name)
}

const isEmpty = (view: View | undefined): boolean => {
  if (view === undefined || view === '' || view === 0 || view === false) return true
  return listOf(view)?.length === 0
}
