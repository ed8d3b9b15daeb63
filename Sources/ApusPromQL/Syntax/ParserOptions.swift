/// What the parser accepts beyond the stable language, and where it stops.
public struct ParserOptions: Sendable, Equatable {
    /// `--enable-feature=promql-experimental-functions`
    public var enableExperimentalFunctions: Bool
    /// `--enable-feature=promql-extended-range-selectors`: `anchored` and `smoothed`.
    public var enableExtendedRangeSelectors: Bool
    /// `--enable-feature=promql-binop-fill-modifiers`: `fill`, `fill_left` and `fill_right`.
    public var enableBinopFill: Bool
    /// The longest query, in bytes. The tree of `1+1+1…` takes about 100 bytes for each byte of text.
    public var maxQueryBytes: Int
    /// How many brackets, calls, signs and unfinished operators may be open at once. Bounds the height of the tree, but
    /// for chains that lean left.
    public var maxNesting: Int
    /// How many selectors a query may have: each is looked up, and costs a fraction of a millisecond however little it finds.
    public var maxSelectors: Int

    public init(
        enableExperimentalFunctions: Bool = false, enableExtendedRangeSelectors: Bool = false,
        enableBinopFill: Bool = false, maxQueryBytes: Int = 1 << 20, maxNesting: Int = 1_000, maxSelectors: Int = 2_000
    ) {
        self.enableExperimentalFunctions = enableExperimentalFunctions
        self.enableExtendedRangeSelectors = enableExtendedRangeSelectors
        self.enableBinopFill = enableBinopFill
        self.maxQueryBytes = maxQueryBytes
        self.maxNesting = maxNesting
        self.maxSelectors = maxSelectors
    }
}
