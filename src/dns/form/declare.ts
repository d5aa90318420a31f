/**
 * How a form of names is declared: what its names look like and what they answer.
 *
 * Owns the types that every form is written with. A form is one file of this folder and one line
 * of mod.ts; its examples run as tests.
 */
import type { Bytes } from '../../base/bytes.ts'
import type { Refusal } from '../../base/errors.ts'
import type { Caller, Who } from '../../base/who.ts'
import type { View } from '../../store/ask.ts'
import type { Interest } from '../../store/replica/interest.ts'
import type { QueryRow } from '../../store/tables/query.ts'
import {
  ANY_TYPE_CODE,
  type DnsRecord,
  type KnownType,
  type TemplateAnswer,
  TypeCode,
} from '../../wire/dns/mod.ts'
import type { DnsConfig } from '../config.ts'
import type { Name, Zone } from '../name.ts'

/** A question as a form gets it. */
export interface Ask {
  /** The question's name in text, lower case: the owner of every answer. */
  readonly name: string
  readonly typeCode: number
  /** The domain that was asked under; names in answers lie in it too. */
  readonly zone: Zone
  readonly view: View
  readonly who: Caller
  /** Who is to see the instances of a prepared query. */
  readonly seerOf: (query: QueryRow) => Who | Refusal
  readonly config: DnsConfig
  /** Seconds since 1970. */
  readonly nowS: number
}

/** One answer with its additionals. */
export interface Given extends TemplateAnswer {
  /** The host name that it leads to, where that is not one of ours by construction: followed. */
  readonly host?: string | undefined
}

/** Records that go out beside the answers, or without any. */
export interface Aside {
  readonly authority?: DnsRecord
  readonly loose?: readonly DnsRecord[]
}

/** One answer, or what goes out beside them; undefined for a step of the work that gave none. */
export type Answer = Given | Aside | undefined

/**
 * The answers, one by one, so that thousands can be made in slices; returns whether the name
 * exists. No answers: no data of that type, or no such name.
 */
export type Answers = Iterator<Answer, boolean>

/** No answers to a name that does or does not exist. */
export const noAnswers = (exists: boolean): Answers => ({
  next: () => ({ done: true, value: exists }),
})

export interface Said {
  /** The scope of the store that the answer stands on; undefined when nothing can change it. */
  readonly scope: string | undefined
  readonly answers: Answers
  /** How many answers go out at most; all that fit when it is left out, or 0. */
  readonly most?: number
  /** Whether it stands on more than the scope says: then it is made for each question. */
  readonly isFleeting?: boolean
  /** Whether the answers go out in their order; asked when all were given. */
  readonly isOrdered?: () => boolean
}

/**
 * What a form answers; undefined when the form is served in a later version, `'elsewhere'` when
 * others may know the name: it is asked of the recursors, and absent where there are none;
 * `'withheld'` when an agent without a store may not know the answer.
 */
export type FormAnswer = Said | 'elsewhere' | 'withheld' | undefined

/** One row of a form's documentation, and a test. */
export interface Example {
  /** Name and type. */
  readonly ask: string
  /** The answers in any order, without owner and TTL; or `NODATA`, `NXDOMAIN`, `NOTIMP`. */
  readonly gives: string | readonly string[]
}

export interface DnsForm {
  /** What users call it. */
  readonly name: string
  /** What its names look like, without the domain. */
  readonly pattern: string
  /** Of the registry in test/dns/example.ts. */
  readonly examples: readonly Example[]
  /** The answer to a name of this form; `'other'` for a name of another one. */
  readonly answer: (name: Name, ask: Ask) => FormAnswer | 'other'
  /** What the answer stands on, as far as the view tells that yet; `'other'` as above. */
  readonly standsOn: (name: Name, ask: Ask) => readonly Interest[] | 'other'
}

interface DnsFormSpec<Subject> extends Omit<DnsForm, 'answer' | 'standsOn'> {
  /** What the name asks for; undefined when it is not of this form. */
  readonly parse: (name: Name, config: DnsConfig) => Subject | undefined
  readonly answer: (subject: Subject, ask: Ask) => FormAnswer
  /** What an agent without a store must follow to know the answer. */
  readonly standsOn: (subject: Subject, ask: Ask) => readonly Interest[]
}

/** Declares a form. */
export function defineDnsForm<Subject>(spec: DnsFormSpec<Subject>): DnsForm {
  return {
    name: spec.name,
    pattern: spec.pattern,
    examples: spec.examples,
    answer(name, ask) {
      const subject = spec.parse(name, ask.config)
      return subject === undefined ? 'other' : spec.answer(subject, ask)
    },
    standsOn(name, ask) {
      const subject = spec.parse(name, ask.config)
      return subject === undefined ? 'other' : spec.standsOn(subject, ask)
    },
  }
}

/** Whether the question asks for records of a type. */
export const wants = ({ typeCode }: Ask, type: KnownType): boolean =>
  typeCode === TypeCode[type] || typeCode === ANY_TYPE_CODE

/** Labels as one text, for names of things whose own names have dots. */
export const joined = (labels: readonly Bytes[]): Bytes => labels.join('.')
