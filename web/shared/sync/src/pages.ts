const FIRST = 256 * 1024
const LEAST = 16 * 1024
const MOST = 1024 * 1024
const QUICK_MS = 2_000
const SLOW_MS = 8_000

/**
 * How many bytes to wish a page for (FL1), as the line has shown it carries: on one that breaks every few seconds a large
 * page never arrives whole, and on a good one small pages cost time. For pulls that follow one another.
 */
export class PageSize {
  private bytes = FIRST
  private asked = 0

  constructor(private readonly now: () => number) {}

  /** What to wish for with this attempt; `lost` says that the answer to the one before never came whole. */
  wish(lost: boolean): number {
    if (lost) this.shrink()
    this.asked = this.now()
    return this.bytes
  }

  /** The page has come whole; `more` are to come, so that its size says something about the line. */
  came(more: boolean): void {
    const took = this.now() - this.asked
    if (took > SLOW_MS) this.shrink()
    else if (took < QUICK_MS && more) this.bytes = Math.min(MOST, this.bytes * 2)
  }

  private shrink(): void {
    this.bytes = Math.max(LEAST, this.bytes / 2)
  }
}
