package org.alpaca4j.core.internal.pytorch;

import static java.util.Map.entry;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.pickle.PickleDict;
import org.alpaca4j.core.internal.pickle.PickleException;
import org.alpaca4j.core.internal.pickle.PickleGlobals;
import org.alpaca4j.core.internal.pickle.PickleList;
import org.alpaca4j.core.internal.pickle.PickleNone;
import org.alpaca4j.core.internal.pickle.PickleTuple;
import org.alpaca4j.core.internal.pickle.Unpickler;

/**
 * The names that a pickle of weights may use, by exact text: tensors, storages, dtypes and plain
 * containers. Each stands for a value of ours; a "call" of it makes a {@link TorchTensor}, a {@link
 * TorchStorage} or a container.
 *
 * @see <a href="https://github.com/pytorch/pytorch/blob/v2.7.1/torch/_utils.py">torch._utils, the
 *     arguments of the functions that rebuild tensors</a>
 */
final class TorchGlobals implements PickleGlobals {
  private enum Function {
    ORDERED_DICT,
    SET,
    SIZE,
    DEVICE,
    ENCODE,
    TENSOR_CLASS,
    REBUILD_TENSOR,
    REBUILD_TENSOR_V2,
    REBUILD_TENSOR_V3,
    REBUILD_PARAMETER,
    REBUILD_PARAMETER_WITH_STATE,
    REBUILD_FROM_TYPE
  }

  private record StorageClass(DType dtype) {}

  /** Keys are module, blank, name: a blank is in neither. */
  private static final Map<String, Object> PERMITTED = permitted();

  private final Map<String, TorchStorage> storages = new HashMap<>();
  private final long maxCopied;
  private long copied;

  /**
   * Prepares for one pickle.
   *
   * @param pickleBytes at least as many as it has
   */
  TorchGlobals(long pickleBytes) {
    this.maxCopied = pickleBytes;
  }

  private static Map<String, Object> permitted() {
    Map<String, Object> names =
        new HashMap<>(
            Map.ofEntries(
                entry("collections OrderedDict", Function.ORDERED_DICT),
                entry("__builtin__ set", Function.SET),
                entry("builtins set", Function.SET),
                entry("torch Size", Function.SIZE),
                entry("torch device", Function.DEVICE),
                entry("_codecs encode", Function.ENCODE),
                entry("torch Tensor", Function.TENSOR_CLASS),
                entry("torch.nn.parameter Parameter", Function.TENSOR_CLASS),
                entry("torch._utils _rebuild_tensor", Function.REBUILD_TENSOR),
                entry("torch._utils _rebuild_tensor_v2", Function.REBUILD_TENSOR_V2),
                entry("torch._utils _rebuild_tensor_v3", Function.REBUILD_TENSOR_V3),
                entry("torch._utils _rebuild_parameter", Function.REBUILD_PARAMETER),
                entry(
                    "torch._utils _rebuild_parameter_with_state",
                    Function.REBUILD_PARAMETER_WITH_STATE),
                entry("torch._tensor _rebuild_from_type_v2", Function.REBUILD_FROM_TYPE)));
    Map.of(
            "BoolStorage", DType.BOOL,
            "ByteStorage", DType.U8,
            "CharStorage", DType.I8,
            "ShortStorage", DType.I16,
            "HalfStorage", DType.F16,
            "BFloat16Storage", DType.BF16,
            "IntStorage", DType.I32,
            "FloatStorage", DType.F32,
            "ComplexFloatStorage", DType.C64,
            "DoubleStorage", DType.F64)
        .forEach((name, dtype) -> names.put("torch " + name, new StorageClass(dtype)));
    names.put("torch LongStorage", new StorageClass(DType.I64));
    names.put("torch.storage UntypedStorage", new StorageClass(DType.U8));
    names.put("torch UntypedStorage", new StorageClass(DType.U8));
    for (DType dtype : DType.values()) {
      names.put("torch " + dtype.torchName(), dtype);
    }
    return Map.copyOf(names);
  }

  /** Returns the storages that the pickle named, by key. */
  Map<String, TorchStorage> storages() {
    return storages;
  }

  @Override
  public Optional<Object> find(String module, String name) {
    return Optional.ofNullable(PERMITTED.get(module + " " + name));
  }

  @Override
  public Object call(Object function, List<Object> arguments) throws PickleException {
    if (function instanceof Function known) {
      return make(known, arguments);
    }
    throw new PickleException("what is called is no function");
  }

  private Object make(Function known, List<Object> arguments) throws PickleException {
    return switch (known) {
      case ORDERED_DICT -> orderedDict(arguments);
      case SET, SIZE -> {
        requireCount(known, arguments, 1, 1);
        yield arguments.get(0);
      }
      case DEVICE, ENCODE -> PickleNone.NONE; // a place or some bytes: neither is weights
      case TENSOR_CLASS -> throw new PickleException("making an empty tensor is not permitted");
      default -> rebuild(known, arguments);
    };
  }

  /** Python 2 passes the entries as a list of pairs; later ones set them one by one. */
  private PickleDict orderedDict(List<Object> arguments) throws PickleException {
    requireCount(Function.ORDERED_DICT, arguments, 0, 1);
    PickleDict dict = new PickleDict();
    if (arguments.isEmpty()) {
      return dict;
    }
    if (!(arguments.get(0) instanceof PickleList pairs)) {
      throw new PickleException("an OrderedDict is not made of a list");
    }
    for (Object pair : pairs.items()) {
      List<Object> entry =
          pair instanceof PickleList list
              ? list.items()
              : pair instanceof PickleTuple tuple ? tuple.items() : List.of();
      if (entry.size() != 2) {
        throw new PickleException("an OrderedDict is not made of pairs");
      }
      requireOwn(1);
      dict.put(entry.get(0), entry.get(1));
    }
    return dict;
  }

  /**
   * Counts values that a call copies. One list or tuple may be used by many calls, but each value
   * that is written for one call alone takes a byte at least.
   */
  private void requireOwn(int values) throws PickleException {
    copied += values;
    if (copied > maxCopied) {
      throw new PickleException(
          "its calls share lists or tuples, of more values than it has bytes");
    }
  }

  private TorchTensor rebuild(Function function, List<Object> arguments) throws PickleException {
    return switch (function) {
      case REBUILD_TENSOR -> {
        requireCount(function, arguments, 4, 4);
        yield tensor(arguments, storage(arguments.get(0)).dtype());
      }
      case REBUILD_TENSOR_V2 -> {
        requireCount(function, arguments, 6, 7);
        requirePlain(arguments, 6);
        yield tensor(arguments, storage(arguments.get(0)).dtype());
      }
      case REBUILD_TENSOR_V3 -> {
        requireCount(function, arguments, 7, 8);
        requirePlain(arguments, 7);
        if (!(arguments.get(6) instanceof DType dtype)) {
          throw new PickleException("a tensor's dtype is " + describe(arguments.get(6)));
        }
        yield tensor(arguments, dtype);
      }
      case REBUILD_PARAMETER -> parameter(function, arguments, 3);
      case REBUILD_PARAMETER_WITH_STATE -> parameter(function, arguments, 4);
      case REBUILD_FROM_TYPE -> {
        requireCount(function, arguments, 4, 4);
        // Called once more, but never itself: one level.
        if (!(arguments.get(0) instanceof Function inner)
            || inner == Function.REBUILD_FROM_TYPE
            || arguments.get(1) != Function.TENSOR_CLASS
            || !(arguments.get(2) instanceof PickleTuple innerArguments)) {
          throw new PickleException("a tensor of another class than Tensor or Parameter");
        }
        yield rebuild(inner, innerArguments.items());
      }
      default -> throw new PickleException(function + " makes no tensor");
    };
  }

  private static TorchTensor parameter(Function function, List<Object> arguments, int count)
      throws PickleException {
    requireCount(function, arguments, count, count);
    if (!(arguments.get(0) instanceof TorchTensor tensor)) {
      throw new PickleException("a parameter is made of " + describe(arguments.get(0)));
    }
    return tensor;
  }

  private TorchTensor tensor(List<Object> arguments, DType dtype) throws PickleException {
    return TorchTensor.of(
        storage(arguments.get(0)),
        dtype,
        integer(arguments.get(1), "a tensor's storage offset"),
        integers(arguments.get(2), "a tensor's size"),
        integers(arguments.get(3), "a tensor's stride"));
  }

  /** A lazy conjugate or negative is not what its bytes say. */
  private static void requirePlain(List<Object> arguments, int metadata) throws PickleException {
    if (arguments.size() > metadata
        && arguments.get(metadata) instanceof PickleDict flags
        && flags.size() > 0) {
      throw new PickleException(
          "a tensor is stored with a pending operation such as conj; save it after resolve_conj()"
              + " or resolve_neg()");
    }
  }

  @Override
  public Object persistent(Object id) throws PickleException {
    if (!(id instanceof PickleTuple tuple)
        || tuple.items().size() < 5
        || tuple.items().size() > 6
        || !"storage".equals(tuple.items().get(0))) {
      throw new PickleException("a persistent id is not that of a storage");
    }
    List<Object> items = tuple.items();
    if (!(items.get(1) instanceof StorageClass kind)) {
      throw new PickleException("the class of a storage is " + describe(items.get(1)));
    }
    if (!(items.get(2) instanceof String key)) {
      throw new PickleException("the key of a storage is " + describe(items.get(2)));
    }
    long elements = integer(items.get(4), "the length of a storage");
    if (elements < 0 || elements > Long.MAX_VALUE / Long.BYTES) {
      throw new PickleException(
          "storage '" + Unpickler.show(key) + "' has the impossible length " + elements);
    }
    TorchStorage whole = new TorchStorage(key, kind.dtype(), elements, 0, elements);
    TorchStorage known = storages.putIfAbsent(key, whole);
    if (known != null && known.bytes() != whole.bytes()) {
      throw new PickleException("storage '" + Unpickler.show(key) + "' is given two lengths");
    }
    if (items.size() == 6 && items.get(5) instanceof PickleTuple view) {
      return view(whole, view.items());
    }
    return whole;
  }

  private static TorchStorage view(TorchStorage whole, List<Object> view) throws PickleException {
    if (view.size() != 3) {
      throw new PickleException("a storage's view has " + view.size() + " values instead of 3");
    }
    long offset = integer(view.get(1), "the offset of a storage's view");
    long elements = integer(view.get(2), "the length of a storage's view");
    if (offset < 0 || elements < 0 || offset > whole.elements() - elements) {
      throw new PickleException(
          "a view of " + elements + " elements from " + offset + " on is not within its storage");
    }
    return new TorchStorage(whole.key(), whole.dtype(), whole.elements(), offset, elements);
  }

  private static TorchStorage storage(Object value) throws PickleException {
    if (value instanceof TorchStorage storage) {
      return storage;
    }
    throw new PickleException("a tensor's storage is " + describe(value));
  }

  private static long integer(Object value, String what) throws PickleException {
    if (value instanceof Long number) {
      return number;
    }
    throw new PickleException(what + " is " + describe(value) + ", not an integer of 64 bits");
  }

  private long[] integers(Object value, String what) throws PickleException {
    if (!(value instanceof PickleTuple tuple)
        || tuple.items().size() > TorchTensor.MAX_DIMENSIONS) {
      throw new PickleException(
          what + " is " + describe(value) + ", not a tuple of at most 64 integers");
    }
    requireOwn(tuple.items().size());
    long[] numbers = new long[tuple.items().size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = integer(tuple.items().get(i), what);
    }
    return numbers;
  }

  private static void requireCount(Function function, List<Object> arguments, int min, int max)
      throws PickleException {
    if (arguments.size() < min || arguments.size() > max) {
      throw new PickleException(
          function + " has " + arguments.size() + " arguments instead of " + min + " to " + max);
    }
  }

  /** Names the kind of a value, without looking into it. */
  static String describe(Object value) {
    if (value instanceof TorchTensor) {
      return "a tensor";
    } else if (value instanceof PickleDict) {
      return "a dict";
    } else if (value instanceof PickleList) {
      return "a list";
    } else if (value instanceof PickleTuple) {
      return "a tuple";
    } else if (value instanceof String text) {
      return "the text '" + Unpickler.show(text) + "'";
    } else if (value instanceof byte[]) {
      return "bytes";
    } else if (value instanceof Long || value instanceof Double || value instanceof Boolean) {
      return String.valueOf(value);
    } else if (value instanceof PickleNone) {
      return "None";
    }
    return "of another kind";
  }
}
