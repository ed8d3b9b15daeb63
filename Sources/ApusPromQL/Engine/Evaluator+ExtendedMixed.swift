import ApusBytes
import ApusModel
extension Evaluator {
    func extendedMixedWindows(_ series: RangeSeries, _ name: FunctionName, _ extent: RangeExtent, range: NodeID, into row: Row) throws(QueryError) {}
    func selectSmoothedMixed(
        into row: Row, from scratch: ColumnScratch, at references: References, metric: ByteString, range: Range<Int>
    ) -> Int { 0 }
}
