package org.alpaca4j.data;

import java.util.Objects;

/**
 * One record of instruction data in Stanford Alpaca's form.
 *
 * @param instruction what is asked for
 * @param input what it is asked about; the empty string if there is nothing
 * @param output the answer to learn
 */
public record InstructionRecord(String instruction, String input, String output) {

  /** Checks that no field is null. */
  public InstructionRecord {
    Objects.requireNonNull(instruction, "instruction is null");
    Objects.requireNonNull(input, "input is null");
    Objects.requireNonNull(output, "output is null");
  }

  /** Returns a record without an input. */
  public static InstructionRecord of(String instruction, String output) {
    return new InstructionRecord(instruction, "", output);
  }
}
