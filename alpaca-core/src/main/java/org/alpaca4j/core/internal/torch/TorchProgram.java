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
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A torch program: TorchScript text in resource files, whose methods Java calls with tensors.
 *
 * <p>Any ATen operator can be used in a program, in any dtype; DJL's own operators cover neither
 * bf16 nor attention. A method takes tensors ({@link NDArray}) and lists of tensors ({@code
 * NDArray[]}), and returns a tensor, a list or a tuple of tensors. Numbers that do not change are
 * the program's constants; numbers that do are passed as tensors of one element.
 *
 * <p>Text: free functions stand at the left margin and are called as {@code __torch__.name(...)};
 * everything from the line {@code # methods} on is the body of the module class, indented by two.
 * Grad mode is per thread and on by default: a method that a caller may call from any thread begins
 * with {@code torch.set_grad_enabled(False)}.
 *
 * <p>Thread-safe, apart from the names of the arrays passed: DJL carries the structure of a call in
 * them. An array shared by threads must be passed in the same place (as a tensor, or in the n-th
 * list) by all of them.
 */
public final class TorchProgram implements AutoCloseable {
  private static final String METHODS = "# methods\n";

  private static volatile @Nullable Observer observer;

  private final String name;
  private final NDManager manager;
  private final PtSymbolBlock module;
  private final Map<String, NDArray> methods = new ConcurrentHashMap<>();

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

  private TorchProgram(String name, NDManager manager, PtSymbolBlock module) {
    this.name = name;
    this.manager = manager;
    this.module = module;
  }

  /**
   * Loads a program.
   *
   * @param device where its own constants live; tensors passed to it are on this device
   * @param anchor the class beside which the resource lies
   * @param constants attributes read as {@code self.name}: Long, Double, Boolean, String, {@code
   *     long[]}, or a {@link State}
   * @param resources the file names of the program's text; several are read as one program
   * @throws ai.djl.engine.EngineException if the text does not compile; the message shows the line
   */
  public static TorchProgram load(
      Device device, Class<?> anchor, Map<String, Object> constants, String... resources) {
    Torch.initialize();
    StringBuilder functions = new StringBuilder();
    StringBuilder methods = new StringBuilder();
    for (String resource : resources) {
      String text = read(anchor, resource);
      int split = text.indexOf(METHODS);
      if (split < 0) {
        throw new IllegalArgumentException(resource + " has no line '" + METHODS.trim() + "'");
      }
      functions.append(text, 0, split);
      methods.append(text, split + METHODS.length(), text.length());
    }
    byte[] archive = TorchArchive.of(functions.toString(), methods.toString(), constants);
    NDManager manager = NDManager.newBaseManager(device, Torch.ENGINE);
    try {
      PtSymbolBlock module =
          JniUtils.loadModule(
              (PtNDManager) manager, new ByteArrayInputStream(archive), true, false);
      return new TorchProgram(resources[0], manager, module);
    } catch (IOException e) {
      manager.close();
      throw new UncheckedIOException(e); // in memory: cannot happen
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
  }

  private static String read(Class<?> anchor, String resource) {
    try (InputStream in = anchor.getResourceAsStream(resource)) {
      Objects.requireNonNull(in, () -> "no resource " + resource + " beside " + anchor.getName());
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Calls a method.
   *
   * @param scope owner of the results
   * @param method the method's name
   * @param arguments {@link NDArray} or {@code NDArray[]} each, in the method's order; no list is
   *     empty, and no tensor is passed both alone and in a list, or in two lists
   * @return the tensors of the result, flattened in order; owned by {@code scope}
   * @throws IllegalArgumentException if the arguments are not as above
   * @throws ai.djl.engine.EngineException if the method fails; the message shows the line of the
   *     program. DJL then keeps the memory of the arguments for as long as the process lives
   */
  public NDList call(NDManager scope, String method, Object... arguments) {
    Torch.prepareThread();
    NDList inputs = new NDList();
    int lists = 0;
    for (Object argument : arguments) {
      if (argument instanceof NDArray array) {
        rename(array, null);
        inputs.add(array);
      } else if (argument instanceof NDArray[] list) {
        if (list.length == 0 || lists == LIST_NAMES.length) {
          throw refusal(
              method,
              list.length == 0
                  ? "a list is empty, which a call cannot carry"
                  : "more than " + LIST_NAMES.length + " lists");
        }
        String position = LIST_NAMES[lists++];
        for (NDArray array : list) {
          rename(array, position);
          inputs.add(array);
        }
      } else {
        throw refusal(method, "an argument is a tensor or a list, not " + argument);
      }
    }
    requireOnePlaceEach(method, arguments);
    inputs.add(methods.computeIfAbsent(method, this::tag));
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

  /** A tensor passed in two ways bears the name of the last one only, and would go astray. */
  private void requireOnePlaceEach(String method, Object[] arguments) {
    int lists = 0;
    for (Object argument : arguments) {
      String position = argument instanceof NDArray ? null : LIST_NAMES[lists++];
      NDArray[] arrays =
          argument instanceof NDArray array ? new NDArray[] {array} : (NDArray[]) argument;
      for (NDArray array : arrays) {
        if (!Objects.equals(array.getName(), position)) {
          throw refusal(method, "a tensor is passed both alone and in a list, or in two lists");
        }
      }
    }
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

  private static final String[] LIST_NAMES = {
    "l0[]", "l1[]", "l2[]", "l3[]", "l4[]", "l5[]", "l6[]", "l7[]"
  };

  private static void rename(NDArray array, @Nullable String position) {
    if (!Objects.equals(array.getName(), position)) {
      array.setName(position);
    }
  }

  private NDArray tag(String method) {
    NDArray tag = manager.create(0f);
    tag.setName("module_method:" + method);
    return tag;
  }

  @Override
  public void close() {
    module.close();
    manager.close();
  }
}
