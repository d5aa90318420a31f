/**
 * Types of the parts of node-forge that are loaded by themselves: it has types for the whole alone.
 *
 * Owns their names; what they hold is said by the types of the whole.
 */
declare module 'node-forge/lib/asn1.js' {
  const part: typeof import('node-forge').asn1
  export default part
}

declare module 'node-forge/lib/util.js' {
  const part: typeof import('node-forge').util
  export default part
}
