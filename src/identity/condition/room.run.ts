/**
 * Conditions as faces see them: put and delete.
 *
 * Owns joining the pure rules of this folder with the store; holds no state and no rule itself.
 */
import type { Refusal } from '../../base/errors.ts'
import type { Who } from '../../base/who.ts'
import { isRefusal, type Written } from '../../store/store.ts'
import type { ConditionRow } from '../../store/tables/acl-condition.ts'
import type { Writer } from '../../store/writer.ts'
import { deleteCondition, putCondition } from './condition.ts'

export class Conditions {
  readonly #writer: Writer

  constructor(writer: Writer) {
    this.#writer = writer
  }

  /** Writes a condition in the place of the one with its name; false where `cas` does not hold. */
  put(who: Who, row: ConditionRow, cas?: number): Promise<ConditionRow | false | Refusal> {
    return answerOf(this.#writer.write(who, (view, by) => putCondition(view, by, row, cas)))
  }

  /** Deletes a condition; false where `cas` does not hold. */
  delete(who: Who, name: string, cas?: number): Promise<boolean | Refusal> {
    return answerOf(this.#writer.write(who, (view, by) => deleteCondition(view, by, name, cas)))
  }
}

async function answerOf<A>(writing: Promise<Written<A> | Refusal>): Promise<A | Refusal> {
  const written = await writing
  return isRefusal(written) ? written : written.answer
}
