/** Answers that go on, for tests of who lets go of them. */

/** The parts of one, and whether what they hold was let go of. */
export function goingOn() {
  const held = { isFreed: false }
  const parts = async function* () {
    try {
      yield 'x'
    } finally {
      held.isFreed = true
    }
  }
  return { held, parts }
}
