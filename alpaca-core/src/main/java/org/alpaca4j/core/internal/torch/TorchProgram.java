package org.alpaca4j.core.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A torch program: TorchScript text in resource files, whose methods Java calls with tensors.
 *
 * <p>Any ATen operator can be used in a program, in any dtype; DJL's own operators cover neither
 * bf16 nor attention. A method takes tensors ({@link NDArray}) and lists of tensors ({@code
 * NDArray[]}), possibly empty, and returns a tensor, a list or a tuple of tensors. Numbers that do
 * not change are the program's constants; numbers that do are passed as tensors of one element.
 *
 * <p>Text: free functions stand at the left margin and are called as {@code __torch__.name(...)};
 * everything from the line {@code # methods} on is the body of the module class, indented by two.
 * Grad mode is per thread and on by default: a method that a caller may call from any thread begins
 * with {@code torch.set_grad_enabled(False)}.
 *
 * <p>Thread-safe. The names of the arrays passed are overwritten: DJL carries the structure of a
 * call in them.
 */
public final class TorchProgram implements AutoCloseable {
  private static final String METHODS = "# methods\n";

  /** By this name, DJL puts an array into the list that is a call's only argument but numbers. */
  private static final String LIST = "l0[]";

  private static volatile @Nullable Observer observer;

  private final String name;
  private final NDManager manager;
  private final PtSymbolBlock module;
  private final Map<String, Signature> signatures;
  private final Map<String, NDArray> methods = new ConcurrentHashMap<>();
  private final Map<List<Long>, NDArray> lengths = new ConcurrentHashMap<>();
  private final NDManager numbers = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);

  /** Is told of every call of any program, on the thread that calls. */
  @FunctionalInterface
  public interface Observer {
    /**
     * A call has ended.
     *
     * @param program file name of the program's first resource
     * @param method the method called
     * @param nanos how long it took; on an accelerator, how long it took to be queued
     */
    void called(String program, String method, long nanos);
  }

  /** Sets who is told of calls in this process, for measuring; null: nobody, as at first. */
  public static void observe(@Nullable Observer value) {
    observer = value;
  }

  /** A list that belongs to a program's module: empty at first, filled by its methods. */
  public enum State {
    /** Tensors. */
    TENSORS("List[Tensor]"),

    /** Matrices that FBGEMM keeps in fp16 in an order of its own. */
    PACKED_MATRICES("List[__torch__.torch.classes.quantized.LinearPackedParamsBase]");

    private final String type;

    State(String type) {
      this.type = type;
    }

    String type() {
      return type;
    }
  }

  private TorchProgram(
      String name, NDManager manager, PtSymbolBlock module, Map<String, Signature> signatures) {
    this.name = name;
    this.manager = manager;
    this.module = module;
    this.signatures = signatures;
  }

  /**
   * Loads a program.
   *
   * @param device where its own constants live; tensors passed to it are on this device
   * @param anchor the class beside which the resource lies
   * @param constants attributes read as {@code self.name}: Long, Double, Boolean, String, {@code
   *     long[]}, {@code double[]}, or a {@link State}
   * @param resources the file names of the program's text; several are read as one program
   * @throws ai.djl.engine.EngineException if the text does not compile; the message shows the line
   */
  public static TorchProgram load(
      Device device, Class<?> anchor, Map<String, Object> constants, String... resources) {
    return load(
        device,
        resources[0],
        constants,
        Arrays.stream(resources).map(resource -> read(anchor, resource)).toList());
  }

  /**
   * As {@link #load(Device, Class, Map, String...)}, from texts.
   *
   * @param name what messages call the program
   */
  public static TorchProgram load(
      Device device, String name, Map<String, Object> constants, List<String> texts) {
    Torch.initialize();
    StringBuilder functions = new StringBuilder();
    StringBuilder methods = new StringBuilder();
    for (String text : texts) {
      int split = text.indexOf(METHODS);
      if (split < 0) {
        throw new IllegalArgumentException(name + " has no line '" + METHODS.trim() + "'");
      }
      functions.append(text, 0, split);
      methods.append(text, split + METHODS.length(), text.length());
    }
    Map<String, Signature> signatures = Signature.all(methods.toString());
    signatures.values().forEach(signature -> methods.append(signature.entry()));
    byte[] archive = TorchArchive.of(functions.toString(), methods.toString(), constants);
    NDManager manager = NDManager.newBaseManager(device, Torch.ENGINE);
    try {
      PtSymbolBlock module =
          JniUtils.loadModule(
              (PtNDManager) manager, new ByteArrayInputStream(archive), true, false);
      return new TorchProgram(name, manager, module, signatures);
    } catch (IOException e) {
      manager.close();
      throw new UncheckedIOException(e); // in memory: cannot happen
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  /** Returns the text of a resource file beside a class. */
  public static String read(Class<?> anchor, String resource) {
    try (InputStream in = anchor.getResourceAsStream(resource)) {
      Objects.requireNonNull(in, () -> "no resource " + resource + " beside " + anchor.getName());
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * A method that takes tensors and lists of tensors alone, and so can be called from Java. A call
   * carries one list of all tensors, and the lengths of the method's lists: DJL knows neither empty
   * lists nor one tensor in two places. The entry, a method written beside it, takes that apart.
   */
  private record Signature(String name, List<Boolean> lists, String result) {
    private static final Pattern METHOD =
        Pattern.compile("(?m)^  def (\\w+)\\(self(.*)\\) -> (.+):$");
    private static final Pattern PARAMETER = Pattern.compile(", \\w+: (Tensor|List\\[Tensor])");

    static Map<String, Signature> all(String methods) {
      Map<String, Signature> found = new HashMap<>();
      Matcher method = METHOD.matcher(methods);
      while (method.find()) {
        if (!method.group(2).matches("(" + PARAMETER.pattern() + ")*")) {
          continue;
        }
        List<Boolean> lists = new ArrayList<>();
        Matcher parameter = PARAMETER.matcher(method.group(2));
        while (parameter.find()) {
          lists.add(!parameter.group(1).equals("Tensor"));
        }
        found.put(method.group(1), new Signature(method.group(1), lists, method.group(3)));
      }
      return found;
    }

    String entryName() {
      return "enter_" + name;
    }

    String entry() {
      StringBuilder text = new StringBuilder();
      text.append(
          "\n  def %s(self, t: List[Tensor], lengths: Tensor) -> %s:\n"
              .formatted(entryName(), result));
      List<String> arguments = new ArrayList<>();
      String at = "0";
      int alone = 0;
      int list = 0;
      for (boolean isList : lists) {
        if (isList) {
          text.append("    at%d = %s + int(lengths[%d])\n".formatted(list, place(at, alone), list));
          arguments.add("t[%s:at%d]".formatted(place(at, alone), list));
          at = "at" + list++;
          alone = 0;
        } else {
          arguments.add("t[%s]".formatted(place(at, alone++)));
        }
      }
      return text.append("    return self.%s(%s)\n".formatted(name, String.join(", ", arguments)))
          .toString();
    }

    private static String place(String at, int further) {
      return at.equals("0") ? Integer.toString(further) : further == 0 ? at : at + " + " + further;
    }
  }

  /**
   * Calls a method.
   *
   * @param scope owner of the results
   * @param method the method's name
   * @param arguments {@link NDArray} or {@code NDArray[]} each, in the method's order
   * @return the tensors of the result, flattened in order; owned by {@code scope}
   * @throws IllegalArgumentException if the arguments are not what the method takes
   * @throws ai.djl.engine.EngineException if the method fails; the message shows the line of the
   *     program. DJL then keeps the memory of the arguments for as long as the process lives
   */
  public NDList call(NDManager scope, String method, Object... arguments) {
    Torch.prepareThread();
    Signature signature = signatures.get(method);
    if (signature == null || signature.lists().size() != arguments.length) {
      throw refusal(method, "no such method of " + arguments.length + " tensors and lists");
    }
    NDList inputs = new NDList();
    List<Long> lengths = new ArrayList<>();
    for (int i = 0; i < arguments.length; i++) {
      boolean isList = signature.lists().get(i);
      if (!isList && arguments[i] instanceof NDArray array) {
        add(inputs, array);
      } else if (isList && arguments[i] instanceof NDArray[] list) {
        lengths.add((long) list.length);
        for (NDArray array : list) {
          add(inputs, array);
        }
      } else {
        throw refusal(
            method,
            "argument "
                + i
                + " must be a "
                + (isList ? "list" : "tensor")
                + ", not "
                + arguments[i]);
      }
    }
    if (inputs.isEmpty()) {
      add(inputs, lengths(List.of(-1L))); // a list needs a tensor to be one; nobody reads it
    }
    inputs.add(lengths(lengths));
    inputs.add(methods.computeIfAbsent(signature.entryName(), this::tag));
    Observer told = observer;
    long start = told == null ? 0 : System.nanoTime();
    NDList results = IValueUtils.forward(module, inputs, true);
    if (told != null) {
      told.called(name, method, System.nanoTime() - start);
    }
    for (NDArray result : results) {
      if (result.getManager() != scope) {
        result.attach(scope);
      }
    }
    return results;
  }

  private static void add(NDList inputs, NDArray array) {
    if (!LIST.equals(array.getName())) {
      array.setName(LIST);
    }
    inputs.add(array);
  }

  /** On the CPU, as reading them elsewhere would wait for the device. */
  private NDArray lengths(List<Long> values) {
    return lengths.computeIfAbsent(
        values, key -> numbers.create(key.stream().mapToLong(Long::longValue).toArray()));
  }

  private IllegalArgumentException refusal(String method, String why) {
    return new IllegalArgumentException(name + "." + method + ": " + why);
  }

  /** As {@link #call}, for a method that returns one tensor. */
  public NDArray callForOne(NDManager scope, String method, Object... arguments) {
    return call(scope, method, arguments).singletonOrThrow();
  }

  /** As {@link #call}, for a method called for its effect; frees what it returns. */
  public void run(String method, Object... arguments) {
    call(manager, method, arguments).close();
  }

  /** Returns the owner of the program's own arrays. */
  NDManager manager() {
    return manager;
  }

  private NDArray tag(String method) {
    NDArray tag = manager.create(0f);
    tag.setName("module_method:" + method);
    return tag;
  }

  @Override
  public void close() {
    module.close();
    numbers.close();
    manager.close();
  }
}
