/** P(X ≤ k) for X ~ Binomial(n, q), summed term by term in the log domain: no underflow of the first terms for any n. */
export function binomialAtMost(n: number, k: number, q: number): number {
  if (k < 0) return 0
  if (k >= n) return 1
  const odds = Math.log(q) - Math.log1p(-q)
  let logTerm = n * Math.log1p(-q)
  let sum = Math.exp(logTerm)
  for (let i = 0; i < k; i++) {
    logTerm += Math.log((n - i) / (i + 1)) + odds
    sum += Math.exp(logTerm)
  }
  return Math.min(1, sum)
}

/** P(X ≥ k) for X ~ Binomial(n, q); as exact for small tails as `binomialAtMost`. */
export function binomialAtLeast(n: number, k: number, q: number): number {
  return binomialAtMost(n, n - k, 1 - q)
}

/** The largest k with P(X ≤ k) ≤ alpha, or −1. */
export function lowerCritical(n: number, q: number, alpha: number): number {
  const odds = Math.log(q) - Math.log1p(-q)
  let logTerm = n * Math.log1p(-q)
  let sum = Math.exp(logTerm)
  let k = 0
  while (sum <= alpha && k < n) {
    logTerm += Math.log((n - k) / (k + 1)) + odds
    sum += Math.exp(logTerm)
    k++
  }
  return k - 1
}

/** The smallest k with P(X ≥ k) ≤ alpha, or n + 1. */
export function upperCritical(n: number, q: number, alpha: number): number {
  return n - lowerCritical(n, 1 - q, alpha)
}
