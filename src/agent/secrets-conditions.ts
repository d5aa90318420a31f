/**
 * Conditions on paths of the secrets, in the language of the registry's conditions.
 *
 * Owns what the names of an expression stand for there. The language is identity's, the rules when
 * one is asked are the secrets'.
 */
import { wallMs } from '../base/brand.ts'
import { nothingUnmet } from '../base/who.ts'
import { testProgram } from '../identity/condition/evaluate.ts'
import { compileCondition, isProgram, type Program } from '../identity/condition/program.ts'
import type {
  CompiledCondition,
  ConditionAsked,
  ConditionCompiler,
} from '../secrets/condition/condition.ts'

/** Makes expressions askable. */
export const conditionCompiler: ConditionCompiler = {
  compile(expression) {
    const program = compileCondition(expression)
    if (isProgram(program)) return compiledOf(program)
    return `line ${program.line}, column ${program.column}: ${program.problem}`
  },
}

const compiledOf = (program: Program): CompiledCondition => ({
  holds(asked) {
    const target = { resource: 'login' as const, name: asked.path, capability: asked.operation }
    const outcome = testProgram(program, factsOf(asked), target, wallMs(asked.nowMs))
    return outcome.holds
  },
})

function factsOf({ who, operation, path, data, remote, id }: ConditionAsked) {
  const token = who?.token
  return {
    who: { accessor: token?.accessor ?? '', rights: '', may: () => false },
    request: {
      ...{ id, remote, body: data },
      operation: `${operation} /v1/{path}`,
      name: path,
      query: '',
      bodySizeBytes: 0,
      overrides: false,
      isRenewal: false,
      recorded: false,
      ...nothingUnmet,
    },
    targets: [],
    token: () => ({
      accessor: token?.accessor ?? '',
      policies: who?.policies ?? [],
      roles: token?.role ? [token.role] : [],
      authMethod: token?.path ?? '',
      metadata: { ...who?.identity?.facts.metadata, ...token?.meta },
    }),
  }
}
