/**
 * The paths as they are declared, without anything behind them: for tests that look at the
 * declarations alone.
 */
import type { PathDeclaration } from '../../src/http/declare.ts'
import { registryPaths } from '../../src/http/registry/mod.ts'

/** Declaring does not use what the handlers will stand on: anything will do for it. */
const anything = new Proxy(() => '', {
  get: (target, name): unknown => (name === Symbol.toPrimitive ? target : anything),
  apply: (): unknown => anything,
})

/** Every path of the registry's API, with those of a later step. Its handlers must not be run. */
export const declaredPaths: readonly PathDeclaration[] = registryPaths(
  anything as unknown as Parameters<typeof registryPaths>[0],
)
