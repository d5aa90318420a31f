/**
 * What the sinks have in common that make a file by a template.
 *
 * Owns the settings of the template and how a state becomes a text. The template itself is read
 * from its file once, when the sink is made: what a state becomes is told without any I/O.
 */
import { messageOf, Refusal } from '../../base/errors.ts'
import type { CheckedFile } from './checked-file.run.ts'
import type { Rendered, RenderState, SinkTarget, Wanted } from './declare.ts'
import { digestOf } from './digest.ts'
import { summaryOf } from './document.ts'
import type { SettingFields, SettingValues } from './schema.ts'
import type { UsableStatus } from './state.ts'
import { fillTemplate, parseTemplate, type Quote } from './template.ts'
import { viewOf } from './view.ts'

/** The settings of a template. */
export const templateFields = {
  template: { type: 'text', help: 'the template itself', isLocal: true },
  template_file: {
    type: 'text',
    help: 'a file with the template; read when the sink is made, and at each reload',
    isLocal: true,
  },
} as const satisfies SettingFields

/** What stands in a file. */
export interface FileWanted {
  readonly text: string
  /** Services of which nothing is known, for which a file that is there stays as it is. */
  readonly held: readonly string[]
}

/** The settings with the template read from its file, and looked at. */
export async function withTemplate(
  values: SettingValues,
  readText: (path: string) => Promise<string>,
): Promise<SettingValues | Refusal> {
  const { template_file: path } = values
  if (typeof path !== 'string') return parsed(values)
  try {
    return parsed({ ...values, template: await readText(path) })
  } catch (error) {
    return new Refusal(400, `template_file: ${messageOf(error)}`)
  }
}

function parsed(values: SettingValues): SettingValues | Refusal {
  const { template } = values
  const read = typeof template === 'string' ? parseTemplate(template) : undefined
  return read instanceof Refusal ? read : values
}

/** Renders a state by a template. */
export function renderTemplate(
  { template, use }: { readonly template: string; readonly use: UsableStatus },
  state: RenderState,
  quote: Quote,
): Rendered<FileWanted> | Refusal {
  const read = parseTemplate(template)
  if (read instanceof Refusal) return read
  const { view, problems } = viewOf(state, use)
  const filled = fillTemplate(read, view, quote)
  if (filled instanceof Refusal) return filled
  return renderedFile(filled.text, state, use, [...problems, ...filled.problems])
}

/** The wanted file, of a text that was made. */
export function renderedFile(
  text: string,
  state: RenderState,
  use: UsableStatus,
  problems: readonly string[],
): Rendered<FileWanted> {
  return {
    what: { text, held: [...state.held] },
    digest: digestOf([text, ...state.held]),
    summary: summaryOf(state, use),
    problems,
  }
}

/** A file as the target of a sink. */
export function fileTarget(file: CheckedFile): SinkTarget<FileWanted> {
  /** Why the file stays as it is. */
  const isHeld = async ({ what }: Wanted<FileWanted>): Promise<string | undefined> => {
    if (what.held.length === 0 || (await file.current()) === undefined) return undefined
    const names = what.held.map(name => JSON.stringify(name)).join(', ')
    return `the file is kept as it is until there are usable instances of ${names}`
  }
  return {
    async plan(wanted) {
      const problem = await isHeld(wanted)
      return problem === undefined
        ? await file.plan(wanted.what.text)
        : { changes: [], problems: [problem] }
    },
    async apply(wanted, signal) {
      const problem = await isHeld(wanted)
      return problem === undefined
        ? await file.apply(wanted.what.text, signal)
        : { changes: [], problems: [problem], againMs: undefined }
    },
    close: async () => {},
  }
}
