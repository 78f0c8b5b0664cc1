package org.alpaca4j.core.fuzz;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Damages pickles by their instructions: drops, swaps and repeats them, changes their arguments.
 */
public final class PickleMutator {
  private static final String ONE_BYTE_OPERATIONS =
      "(.012NQRabdelostu)]}\u0081\u0085\u0086\u0087"
          + "\u0088\u0089\u008f\u0090\u0091\u0092\u0093\u0094\u0097\u0098";
  private static final List<String> WITH_ARGUMENT =
      List.of(
          "K\1",
          "M\1\1",
          "J\377\377\377\377",
          "I01\n",
          "I-7\n",
          "L12345678901234567890L\n",
          "F1e999\n",
          "G\177\360\0\0\0\0\0\0",
          "S'text'\n",
          "S'\n",
          "Vtext\n",
          "U\2ab",
          "T\3\0\0\0abc",
          "X\377\377\377\177",
          "\u008c\1a",
          "\u008d\1\0\0\0\0\0\0\0a",
          "C\1a",
          "B\1\0\0\0a",
          "\u008a\0",
          "\u008a\u00ff",
          "\u008b\377\377\377\377",
          "\u008e\377\377\377\377\0\0\0\0",
          "\u0095\0\0\0\0\0\0\0\0",
          "\u0096\0\0\0\0\0\0\0\0",
          "q\0",
          "h\0",
          "r\1\0\0\0",
          "r\377\377\377\177",
          "j\0\0\0\0",
          "p0\n",
          "p999999999\n",
          "g0\n",
          "P1\n",
          "\u0080\5",
          "\u0082\1",
          "cos\nsystem\n",
          "cposix\nsystem\n",
          "ctorch\nSize\n",
          "ctorch\ndevice\n",
          "c_codecs\nencode\n",
          "ctorch\nTensor\n",
          "ccollections\nOrderedDict\n",
          "c__builtin__\nset\n",
          "ctorch\nfloat32\n",
          "ctorch.storage\nUntypedStorage\n",
          "ctorch._tensor\n_rebuild_from_type_v2\n",
          "ctorch._utils\n_rebuild_parameter\n",
          "ctorch._utils\n_rebuild_tensor_v2\n",
          "ctorch._utils\n_rebuild_tensor_v3\n",
          "\u008a\10\377\377\377\377\377\377\377\177",
          "\u008a\1\377",
          "\u008a\2\0\1");

  private final Mutator mutator;

  /** Draws every decision from a mutator. */
  public PickleMutator(Mutator mutator) {
    this.mutator = mutator;
  }

  /** Returns a changed pickle; a quarter of them changed as bytes. */
  public byte[] pickle(byte[] sound) {
    if (mutator.oneIn(4)) {
      return mutator.bytes(sound, sound);
    }
    List<byte[]> operations = split(sound);
    do {
      int at = mutator.below(operations.size());
      switch (mutator.below(6)) {
        case 0 -> operations.remove(at);
        case 1 -> operations.add(at, operation());
        case 2 -> operations.set(at, operation());
        case 3 -> operations.set(at, mutator.pick(operations));
        case 4 -> operations.set(at, mutator.bytes(operations.get(at), operations.get(at)));
        default -> {
          List<byte[]> block =
              List.copyOf(
                  operations.subList(at, Math.min(operations.size(), at + 1 + mutator.below(9))));
          for (int times = mutator.oneIn(4) ? 2000 / block.size() : 1; times > 0; times--) {
            operations.addAll(at, block);
          }
        }
      }
    } while (!operations.isEmpty() && mutator.oneIn(3));
    return operations.stream()
        .reduce(new byte[0], (a, b) -> Mutator.replace(a, a.length, a.length, b));
  }

  private byte[] operation() {
    String text =
        mutator.oneIn(2)
            ? mutator.pick(WITH_ARGUMENT)
            : mutator.pick(List.of(ONE_BYTE_OPERATIONS.split("")));
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** Splits what torch.save writes with protocol 2. */
  private static List<byte[]> split(byte[] pickle) {
    List<byte[]> operations = new ArrayList<>();
    for (int at = 0; at < pickle.length; ) {
      int end = at + 1;
      switch (pickle[at] & 0xff) {
        case 'X' -> end += 4 + (pickle[at + 1] & 0xff); // names are short
        case 0x8a -> end += 1 + pickle[at + 1];
        case 0x80, 'K', 'q', 'h' -> end++;
        case 'M' -> end += 2;
        case 'J' -> end += 4;
        case 'c' -> {
          for (int lines = 0; lines < 2; end++) {
            lines += pickle[end] == '\n' ? 1 : 0;
          }
        }
        default -> {}
      }
      operations.add(Arrays.copyOfRange(pickle, at, Math.min(end, pickle.length)));
      at = end;
    }
    return operations;
  }
}
