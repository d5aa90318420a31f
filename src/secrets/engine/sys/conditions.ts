/**
 * `sys/policies/conditions`: conditions on paths. Ours; Vault's enterprise edition has Sentinel for
 * some of this.
 *
 * Owns the paths alone. What a condition means is condition/condition.ts's.
 */
import { Refusal } from '../../../base/errors.ts'
import {
  type ConditionCompiler,
  type ConditionLevel,
  conditionLevels,
  conditionProblem,
  conditionRows,
  type PathCondition,
} from '../../condition/condition.ts'
import { NOTHING, type Operation, operations, type PathSpec, path } from '../../declare.ts'
import { bool, list, str } from '../../field.ts'
import * as shape from '../../shape.ts'

const fields = {
  name: str('The name of the condition.'),
  description: str('What it is for.'),
  expression: str('What must hold, in CEL.'),
  level: str('advisory, soft-mandatory or hard-mandatory.', { initial: 'hard-mandatory' }),
  paths: list('The paths that are governed; `*` at the end for all that begin so.'),
  operations: list('The operations that are governed; all unless given.'),
  enabled: bool('Whether it is asked at all.', { initial: true }),
}

/** The paths, with what compiles expressions. */
export const conditionPaths = (compiler: ConditionCompiler): PathSpec[] => [
  path({
    pattern: 'policies/conditions',
    help: { synopsis: 'Lists conditions.', description: 'Their names.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists conditions.',
        answer: shape.keys,
        run({ draft, namespace }) {
          const keys = conditionRows(draft, namespace).keys()
          return keys.length === 0 ? NOTHING : { data: { keys } }
        },
      },
    },
  }),
  path({
    pattern: 'policies/conditions/{name}',
    help: {
      synopsis: 'A condition on paths.',
      description:
        'A request on a governed path that its asker has the right to make must meet it too. No ' +
        'condition governs these paths themselves.',
    },
    fields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads a condition.',
        answer: shape.object({
          name: shape.text,
          description: shape.text,
          expression: shape.text,
          level: shape.text,
          paths: shape.texts,
          operations: shape.texts,
          enabled: shape.bool,
        }),
        run({ draft, namespace, fields: { name = '' } }) {
          const row = conditionRows(draft, namespace).kept<PathCondition>(name)
          if (row === undefined) return NOTHING
          const { isEnabled: enabled, ...shown } = row
          return { data: { name, ...shown, enabled } }
        },
      },
      update: {
        summary: 'Writes a condition.',
        examples: [{ expression: 'request.time.getHours() < 18', paths: ['secret/data/prod/*'] }],
        run({ draft, namespace, fields: given }) {
          const { name = '', level = '', paths = [], operations: governed = [] } = given
          const isLevel = (conditionLevels as readonly string[]).includes(level)
          if (!isLevel) return invalid(`level should be one of: ${conditionLevels.join(', ')}`)
          const unknown = governed.find(one => !(operations as readonly string[]).includes(one))
          if (unknown !== undefined) {
            return invalid(`operations should be some of: ${operations.join(', ')}`)
          }
          const row: PathCondition = {
            description: given.description ?? '',
            expression: given.expression ?? '',
            level: level as ConditionLevel,
            paths,
            operations: governed as readonly Operation[],
            isEnabled: given.enabled ?? true,
          }
          const problem = conditionProblem(draft, namespace, name, row, compiler)
          if (problem !== undefined) return invalid(problem)
          conditionRows(draft, namespace).put(name, row)
          return NOTHING
        },
      },
      delete: {
        summary: 'Deletes a condition.',
        run({ draft, namespace, fields: { name = '' } }) {
          conditionRows(draft, namespace).delete(name)
          return NOTHING
        },
      },
    },
  }),
]

const invalid = (text: string): Refusal => new Refusal(400, `Invalid condition: ${text}`)
