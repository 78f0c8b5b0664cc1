package org.alpaca4j.data;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What one pass over the records hears of those that cannot be used, and of fields that nobody
 * looked at. Reading a source twice in a pass counts once. For one thread.
 */
class ReadingLog {

  /** Refuses bad records and remembers nothing, so that all may share it. */
  static final ReadingLog REFUSING =
      new ReadingLog(OnBadRecord.refuse()) {
        @Override
        void used(DataRecord record) {}
      };

  private final OnBadRecord policy;
  private final Set<BadRecord> bad = new LinkedHashSet<>();
  private final Set<String> unusedFields = new LinkedHashSet<>();

  ReadingLog(OnBadRecord policy) {
    this.policy = policy;
  }

  /** Hears of a record that cannot be used; throws its exception if it must not be left out. */
  final void bad(RecordException e) {
    if (policy.refuses()) {
      throw e;
    }
    bad.add(e.record());
  }

  /** Hears that all was read of a record that ever will be. */
  void used(DataRecord record) {
    record.addUnusedFields(unusedFields);
  }

  /** Returns the records left out, in their order. */
  final List<BadRecord> badRecords() {
    return List.copyOf(bad);
  }

  /** Returns the names of fields that were not read. */
  final List<String> unusedFields() {
    return List.copyOf(unusedFields);
  }

  /**
   * Checks that not too many were left out.
   *
   * @param used how many were not
   * @throws DataException if the share is larger than the policy's; it names the first ones
   */
  final void check(String origin, int used) {
    int all = used + bad.size();
    if (bad.size() <= policy.maxShare() * all) {
      return;
    }
    List<String> first = new ArrayList<>();
    bad.stream().limit(5).forEach(record -> first.add(record.toString()));
    throw new DataException(
        origin
            + ": "
            + bad.size()
            + " of "
            + all
            + " records cannot be used, a larger share than the "
            + policy.maxShare()
            + " that may be left out; mend them, or raise onBadRecord's share. The first: "
            + String.join("; ", first));
  }
}
